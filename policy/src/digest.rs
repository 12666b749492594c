//! Content digests as go-digest accepts them: `algorithm:encoded`, with a known algorithm and its exact length.
//!
//! Source: opencontainers/go-digest `digest.go` and `algorithm.go`; dockerd parses every digest through them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A content address, `algorithm:encoded`, with a known algorithm and lower-case hexadecimal of its exact length.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest {
    text: String,
    algorithm: Algorithm,
}

/// The digest algorithms that dockerd registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 64 hexadecimal digits.
    Sha256,
    /// SHA-384, 96 hexadecimal digits.
    Sha384,
    /// SHA-512, 128 hexadecimal digits.
    Sha512,
}

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidDigest {
    /// There is no colon between algorithm and encoded part.
    #[error("a digest reads `algorithm:hexadecimal`")]
    Format,
    /// The algorithm is not one that dockerd knows.
    #[error("the digest algorithm is not one of sha256, sha384, sha512")]
    Algorithm,
    /// The encoded part has not the length of the algorithm, or is not lower-case hexadecimal.
    #[error("the digest is not lower-case hexadecimal of its algorithm's length")]
    Encoded,
}

// === impl Digest ===

impl Digest {
    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part.
    #[must_use]
    pub fn encoded(&self) -> &str {
        self.text.split_once(':').map_or("", |(_, encoded)| encoded)
    }

    /// The whole, `algorithm:encoded`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, encoded) = text.split_once(':').ok_or(InvalidDigest::Format)?;
        let algorithm = Algorithm::from_name(name).ok_or(InvalidDigest::Algorithm)?;
        let hexadecimal = encoded
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !hexadecimal || encoded.len() != algorithm.encoded_length() {
            return Err(InvalidDigest::Encoded);
        }
        Ok(Self {
            text: text.to_owned(),
            algorithm,
        })
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.text
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

// === impl Algorithm ===

impl Algorithm {
    /// The name as it stands before the colon.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the encoded part, in hexadecimal digits.
    #[must_use]
    pub const fn encoded_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Algorithm, InvalidDigest>) {
        assert_eq!(
            text.parse::<Digest>().map(|digest| digest.algorithm()),
            expected,
            "{text}"
        );
    }

    #[test]
    fn digests_need_a_known_algorithm_and_its_length() {
        let hex = "a".repeat(64);
        check(&format!("sha256:{hex}"), Ok(Algorithm::Sha256));
        check(&format!("sha384:{}", "0".repeat(96)), Ok(Algorithm::Sha384));
        check(
            &format!("sha512:{}", "f".repeat(128)),
            Ok(Algorithm::Sha512),
        );
        check(
            &format!("sha256:{}", "A".repeat(64)),
            Err(InvalidDigest::Encoded),
        );
        check(
            &format!("sha256:{}", "a".repeat(63)),
            Err(InvalidDigest::Encoded),
        );
        check(
            &format!("sha256:{}", "a".repeat(65)),
            Err(InvalidDigest::Encoded),
        );
        check(
            &format!("md5:{}", "a".repeat(32)),
            Err(InvalidDigest::Algorithm),
        );
        check(&format!("SHA256:{hex}"), Err(InvalidDigest::Algorithm));
        check(&hex, Err(InvalidDigest::Format));
        check("", Err(InvalidDigest::Format));
    }
}
