//! Layer chains: two images whose chains agree up to a layer have the same root up to it.
//!
//! Source: OCI image-spec `config.md`, "Layer ChainID".

use ramgate_policy::Digest;
use sha2::{Digest as _, Sha256};

use crate::verifier::hexadecimal;

/// The chain IDs of every beginning of `layers`, the shortest first: as many as there are layers.
///
/// `layers` are digests of uncompressed layers, lowest first.
#[must_use]
pub fn chain_ids(layers: &[Digest]) -> Vec<String> {
    let mut chains: Vec<String> = Vec::with_capacity(layers.len());
    for layer in layers {
        let chain = match chains.last() {
            None => layer.to_string(),
            Some(below) => {
                let digest = Sha256::digest(format!("{below} {layer}"));
                format!("sha256:{}", hexadecimal(&digest))
            }
        };
        chains.push(chain);
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_its_layers_in_their_order() {
        let layer = |digit: &str| format!("sha256:{}", digit.repeat(64)).parse().unwrap();
        let (a, b): (Digest, Digest) = (layer("a"), layer("b"));
        let chains = chain_ids(&[a.clone(), b.clone()]);
        assert_eq!(chains[0], a.to_string());
        // printf 'sha256:aa… sha256:bb…' | sha256sum
        assert_eq!(
            chains[1],
            "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"
        );
        assert_ne!(chains[1], chain_ids(&[b, a])[1]);
        assert!(chain_ids(&[]).is_empty());
    }
}
