//! Entries to be carried to where Docker Hub cannot be reached, signed by who collected them.
//!
//! One line of JSON with key and signature (Ed25519), then the JSON that is signed, byte for byte. What was not signed by a key
//! that the site trusts is not even read.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ramgate_policy::Category;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::entry::{Entry, Source};

/// Entries, and for how long they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bundle {
    version: u32,
    /// In seconds since 1970.
    made: u64,
    expires: u64,
    namespaces: Vec<(String, Category, u64)>,
}

/// The key that signs bundles.
pub struct SigningKey {
    pkcs8: Vec<u8>,
    pair: Ed25519KeyPair,
}

/// A key whose bundles are taken: `ed25519:` and 32 bytes in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey([u8; KEY_BYTES]);

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    /// Always [`KIND`], so that one sees what it is.
    bundle: String,
    key: String,
    signature: String,
}

/// Why a bundle or key is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BundleError {
    /// It is none.
    #[error("this is no bundle of this version of ramgate")]
    Unreadable,
    /// Nobody whom the site trusts signed it.
    #[error(
        "the bundle is signed by {0}, which is not in catalog.trusted-keys; add it there, or name it with --key"
    )]
    Untrusted(String),
    /// It was changed since it was signed.
    #[error("the bundle's signature is wrong: it was changed since it was signed")]
    Forged,
    /// It is over.
    #[error("the bundle has expired; get one that was exported later")]
    Expired,
    /// It is no key.
    #[error("this is no key; `ramgate catalog keygen FILE` makes a pair")]
    Key,
}

// === impl Bundle ===

impl Bundle {
    pub(crate) const fn new(made: u64, expires: u64) -> Self {
        Self {
            version: VERSION,
            made,
            expires,
            namespaces: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, entries: impl IntoIterator<Item = (String, Entry)>) {
        self.namespaces.extend(
            entries
                .into_iter()
                .map(|(namespace, entry)| (namespace, entry.category, entry.checked)),
        );
    }

    /// How many namespaces it is about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.namespaces.len()
    }

    /// Whether it is about none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }

    /// Until when it holds, in seconds since 1970.
    #[must_use]
    pub const fn expires(&self) -> u64 {
        self.expires
    }

    pub(crate) const fn is_valid_at(&self, now: u64) -> Result<(), BundleError> {
        if now < self.expires {
            Ok(())
        } else {
            Err(BundleError::Expired)
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, Entry)> {
        self.namespaces
            .iter()
            .map(|(namespace, category, checked)| {
                let entry = Entry {
                    category: *category,
                    // What was known before the bundle was made is no newer for being carried.
                    checked: (*checked).min(self.made),
                    expires: self.expires,
                    source: Source::Bundle,
                };
                (namespace.as_str(), entry)
            })
    }

    /// The bundle's bytes, signed by `key`.
    ///
    /// # Errors
    /// [`BundleError::Unreadable`] when it cannot be written as JSON, which is not expected.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, BundleError> {
        let payload = serde_json::to_vec(self).map_err(|_| BundleError::Unreadable)?;
        let seal = Seal {
            bundle: KIND.to_owned(),
            key: key.public().to_string(),
            signature: BASE64_STANDARD.encode(key.pair.sign(&payload).as_ref()),
        };
        let mut bytes = serde_json::to_vec(&seal).map_err(|_| BundleError::Unreadable)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&payload);
        Ok(bytes)
    }

    /// Reads a bundle that one of `trusted` signed.
    ///
    /// # Errors
    /// [`BundleError`] when it is none, or none of them signed it.
    pub fn verify(bytes: &[u8], trusted: &[TrustedKey]) -> Result<Self, BundleError> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (seal, payload) = end
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or(BundleError::Unreadable)?;
        let payload = payload.strip_prefix(b"\n").unwrap_or(payload);
        let seal: Seal = serde_json::from_slice(seal).map_err(|_| BundleError::Unreadable)?;
        if seal.bundle != KIND {
            return Err(BundleError::Unreadable);
        }
        let key: TrustedKey = seal.key.parse().map_err(|_| BundleError::Unreadable)?;
        if !trusted.contains(&key) {
            return Err(BundleError::Untrusted(key.to_string()));
        }
        let signature = BASE64_STANDARD
            .decode(&seal.signature)
            .map_err(|_| BundleError::Unreadable)?;
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(payload, &signature)
            .map_err(|_| BundleError::Forged)?;
        let bundle: Self = serde_json::from_slice(payload).map_err(|_| BundleError::Unreadable)?;
        if bundle.version == VERSION {
            Ok(bundle)
        } else {
            Err(BundleError::Unreadable)
        }
    }
}

// === impl SigningKey ===

impl SigningKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`BundleError::Key`] when the system has no randomness.
    pub fn generate() -> Result<Self, BundleError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        Self::from_pkcs8(pkcs8.map_err(|_| BundleError::Key)?.as_ref().to_vec())
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Result<Self, BundleError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8);
        Ok(Self {
            pair: pair.map_err(|_| BundleError::Key)?,
            pkcs8,
        })
    }

    /// The key that bundles of this one are verified with.
    #[must_use]
    pub fn public(&self) -> TrustedKey {
        let mut key = [0; KEY_BYTES];
        for (byte, public) in key.iter_mut().zip(self.pair.public_key().as_ref()) {
            *byte = *public;
        }
        TrustedKey(key)
    }

    /// The key in PEM (PKCS #8), to be kept where only its owner reads it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.pkcs8);
        let mut pem = format!("{PEM_BEGIN}\n");
        let mut rest = text.as_str();
        while let Some((line, more)) = rest.split_at_checked(PEM_LINE) {
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        pem.push_str(&format!("{rest}\n{PEM_END}\n"));
        pem
    }
}

impl FromStr for SigningKey {
    type Err = BundleError;

    /// Reads PEM, as [`Self::to_pem`] and `openssl genpkey -algorithm ed25519` write it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let body = text
            .trim()
            .strip_prefix(PEM_BEGIN)
            .and_then(|text| text.strip_suffix(PEM_END))
            .ok_or(BundleError::Key)?;
        let body: String = body.split_whitespace().collect();
        Self::from_pkcs8(BASE64_STANDARD.decode(body).map_err(|_| BundleError::Key)?)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("public", &self.public())
            .finish_non_exhaustive()
    }
}

// === impl TrustedKey ===

impl FromStr for TrustedKey {
    type Err = BundleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text
            .trim()
            .strip_prefix(ALGORITHM)
            .ok_or(BundleError::Key)?;
        let bytes = BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| BundleError::Key)?;
        bytes.try_into().map(Self).map_err(|_| BundleError::Key)
    }
}

impl fmt::Display for TrustedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{ALGORITHM}{}", BASE64_STANDARD.encode(self.0))
    }
}

const KIND: &str = "ramgate-catalog";
const VERSION: u32 = 1;
const ALGORITHM: &str = "ed25519:";
const KEY_BYTES: usize = 32;
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// RFC 7468.
const PEM_LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        let mut bundle = Bundle::new(1_000, 2_000);
        let entry = Entry {
            category: Category::VerifiedPublisher,
            checked: 900,
            expires: 950,
            source: Source::DockerHub,
        };
        bundle.add([("grafana".to_owned(), entry)]);
        bundle
    }

    #[test]
    fn what_was_signed_by_a_trusted_key_comes_back_as_it_was() {
        let key = SigningKey::generate().unwrap();
        let read: SigningKey = key.to_pem().parse().unwrap();
        let bytes = bundle().sign(&read).unwrap();
        let trusted: TrustedKey = key.public().to_string().parse().unwrap();
        assert_eq!(Bundle::verify(&bytes, &[trusted]), Ok(bundle()));
    }

    #[test]
    fn what_nobody_trusted_signed_or_somebody_changed_is_refused() {
        let (key, other) = (
            SigningKey::generate().unwrap(),
            SigningKey::generate().unwrap(),
        );
        let bytes = bundle().sign(&key).unwrap();
        assert_eq!(
            Bundle::verify(&bytes, &[other.public()]),
            Err(BundleError::Untrusted(key.public().to_string()))
        );
        assert_eq!(
            Bundle::verify(&bytes, &[]),
            Err(BundleError::Untrusted(key.public().to_string()))
        );
        let text = String::from_utf8(bytes.clone()).unwrap();
        let forged = text.replace("grafana", "grafanb");
        assert_eq!(
            Bundle::verify(forged.as_bytes(), &[key.public()]),
            Err(BundleError::Forged)
        );
        // Signed by one and said to be by another.
        let relabelled = text.replace(&key.public().to_string(), &other.public().to_string());
        assert_eq!(
            Bundle::verify(relabelled.as_bytes(), &[other.public()]),
            Err(BundleError::Forged)
        );
        for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(
                Bundle::verify(&bytes[..end], &[key.public()]).is_err(),
                "{end}"
            );
        }
    }

    #[test]
    fn a_bundle_holds_until_it_says() {
        assert_eq!(bundle().is_valid_at(1_999), Ok(()));
        assert_eq!(bundle().is_valid_at(2_000), Err(BundleError::Expired));
        let (_, entry) = bundle()
            .entries()
            .next()
            .map(|(_, entry)| ((), entry))
            .unwrap();
        assert_eq!((entry.checked, entry.expires), (900, 2_000));
    }
}
