//! Verifies content against its digest while it passes.

use std::fmt;

use ramgate_policy::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A running check of content against the digest that it should have.
#[derive(Clone)]
pub struct Verifier {
    expected: Digest,
    state: State,
}

/// Proof that content has its digest. Only [`Verifier::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    digest: Digest,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

// === impl Verifier ===

impl Verifier {
    /// Begins a check against `expected`.
    #[must_use]
    pub fn new(expected: &Digest) -> Self {
        Self {
            expected: expected.clone(),
            state: State::new(expected.algorithm()),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Ends the check: the proof, if the bytes taken so far have the digest. The check begins anew.
    pub fn verify(&mut self) -> Option<Verified> {
        let fresh = State::new(self.expected.algorithm());
        let encoded = match std::mem::replace(&mut self.state, fresh) {
            State::Sha256(state) => hexadecimal(&state.finalize()),
            State::Sha384(state) => hexadecimal(&state.finalize()),
            State::Sha512(state) => hexadecimal(&state.finalize()),
        };
        (encoded == self.expected.encoded()).then(|| Verified {
            digest: self.expected.clone(),
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

// === impl Verified ===

impl Verified {
    /// The digest that the content has.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The proof for `bytes`, if they have the digest.
    #[must_use]
    pub fn of(bytes: &[u8], expected: &Digest) -> Option<Self> {
        let mut verifier = Verifier::new(expected);
        verifier.update(bytes);
        verifier.verify()
    }

    /// The SHA-256 of `bytes`, which is what a tag's content is known by.
    #[must_use]
    pub fn by_sha256(bytes: &[u8]) -> Option<Self> {
        let digest = format!("sha256:{}", hexadecimal(&Sha256::digest(bytes)))
            .parse()
            .ok()?;
        Some(Self { digest })
    }
}

// === impl State ===

impl State {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha384 => Self::Sha384(Sha384::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the empty text; from FIPS 180-4's examples.
    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ABC_512: &str = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn content_has_its_digest_however_it_is_cut() {
        let expected = ABC_512.parse().unwrap();
        let mut verifier = Verifier::new(&expected);
        for piece in [&b"a"[..], b"", b"bc"] {
            verifier.update(piece);
        }
        assert_eq!(verifier.verify().unwrap().digest(), &expected);
        assert!(Verified::of(b"", &EMPTY.parse().unwrap()).is_some());
        assert_eq!(Verified::by_sha256(b"").unwrap().digest().as_str(), EMPTY);
    }

    #[test]
    fn other_content_gives_no_proof() {
        assert!(Verified::of(b" ", &EMPTY.parse().unwrap()).is_none());
        assert!(Verified::of(b"abcd", &ABC_512.parse().unwrap()).is_none());
    }
}
