//! Notes in the ledger what each repository has, so that content is known again under another name.
//!
//! Noted before it is served: what is not known to come from a repository might be taken for another's.

use std::collections::BTreeSet;
use std::sync::Arc;

use moka::sync::Cache;
use ramgate_policy::{Digest, Repository};
use ramgate_provenance::{Ledger, LedgerError};
use serde::Deserialize;

use crate::manifest::Manifest;

/// The mirror's hand in the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    ledger: Arc<Ledger>,
    /// What the ledger said, and how much it knew when it said it.
    heard: Cache<Digest, (u64, Arc<BTreeSet<Repository>>)>,
}

/// The part of an image's config that says what its root consists of; source: OCI image-spec `config.md`.
#[derive(Deserialize)]
struct Config {
    rootfs: Root,
}

#[derive(Deserialize)]
struct Root {
    diff_ids: Vec<Digest>,
}

// === impl Origins ===

impl Origins {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            heard: Cache::new(HEARD_MAX),
        }
    }

    /// The repositories that are known to have a manifest or config. Every request asks, so the ledger is read only when it knows more
    /// than it did.
    pub(crate) fn repositories(
        &self,
        digest: &Digest,
    ) -> Result<Arc<BTreeSet<Repository>>, LedgerError> {
        // Before the ledger is read: what it learns meanwhile makes the answer old, and not new.
        let sightings = self.ledger.sightings();
        if let Some((then, repositories)) = self.heard.get(digest)
            && then == sightings
        {
            return Ok(repositories);
        }
        let repositories = Arc::new(self.ledger.repositories(digest)?);
        let heard = (sightings, Arc::clone(&repositories));
        self.heard.insert(digest.clone(), heard);
        Ok(repositories)
    }

    /// Notes that a repository has this manifest, and the config that it names.
    pub(crate) async fn saw_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        manifest: &Manifest,
    ) -> Result<(), LedgerError> {
        let mut digests = vec![digest.clone()];
        digests.extend(manifest.config.clone().filter(is_telling));
        let repository = repository.clone();
        self.write(move |ledger| ledger.saw(&repository, &digests.iter().collect::<Vec<_>>()))
            .await
    }

    /// Whether the repository is known to have this manifest, or this config of an image.
    pub(crate) fn knows(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, LedgerError> {
        Ok(self.repositories(digest)?.contains(repository))
    }

    /// Notes that a repository has an image with this config. A config of something that is no image says nothing.
    pub(crate) async fn saw_config(
        &self,
        repository: &Repository,
        config: &[u8],
    ) -> Result<(), LedgerError> {
        let Ok(config) = serde_json::from_slice::<Config>(config) else {
            return Ok(());
        };
        let repository = repository.clone();
        self.write(move |ledger| ledger.saw_layers(&repository, &config.rootfs.diff_ids))
            .await
    }

    /// The ledger waits for the disk, which the tasks beside this one must not.
    async fn write(
        &self,
        note: impl FnOnce(&Ledger) -> Result<(), LedgerError> + Send + 'static,
    ) -> Result<(), LedgerError> {
        let ledger = Arc::clone(&self.ledger);
        tokio::task::spawn_blocking(move || note(&ledger))
            .await
            .map_err(|_panic| LedgerError::Interrupted)?
    }
}

/// Whether a config is of one image rather than of every artifact that needs none.
fn is_telling(config: &Digest) -> bool {
    !EMPTY.contains(&config.as_str())
}

/// The digests of `{}`, which is the empty config of OCI image-spec `manifest.md`, and of nothing, which older clients push.
const EMPTY: [&str; 4] = [
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha512:27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9a33c2046ef60fd2a7878d378e29fec851806bbd9a67878f3a9f1cda4830763fd",
    "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
];
/// Digests of which it is remembered who has them: those of some ten thousand images.
const HEARD_MAX: u64 = 100_000;
/// Largest blob that is looked at as a config. Those of images are some KiB.
pub(crate) const CONFIG_SIZE_MAX_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use ramgate_provenance::Verified;

    #[test]
    fn what_every_artifact_has_tells_nothing() {
        let empty: Vec<Digest> = EMPTY.iter().map(|text| text.parse().unwrap()).collect();
        for digest in &empty {
            let is = [&b"{}"[..], b""].map(|bytes| Verified::of(bytes, digest).is_some());
            assert!(is.contains(&true), "{digest}");
            assert!(!is_telling(digest));
        }
        let image = Verified::by_sha256(b"{\"rootfs\":{}}").unwrap();
        assert!(is_telling(image.digest()));
    }

    #[tokio::test]
    async fn what_becomes_known_is_known_at_once() {
        let ledger = Arc::new(Ledger::in_memory().unwrap());
        let origins = Origins::new(Arc::clone(&ledger));
        let digest = Verified::by_sha256(b"x").unwrap().digest().clone();
        assert!(origins.repositories(&digest).unwrap().is_empty());
        let alpine: Repository = "alpine".parse().unwrap();
        ledger.saw(&alpine, &[&digest]).unwrap();
        assert!(origins.repositories(&digest).unwrap().contains(&alpine));
    }
}
