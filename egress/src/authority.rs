//! The certificate authority of inspection: made here, trusted on this host, and good for the configured registries alone.
//!
//! Its certificate names the domains that it may vouch for (RFC 5280, section 4.2.1.10), so that whoever gets at its key can
//! pretend to be one of those registries, and nobody else.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ramgate_policy::Host;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use thiserror::Error;

/// An authority that signs certificates for registries as they are asked for.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    permitted: Vec<Host>,
    leaves: Mutex<HashMap<Host, Leaf>>,
}

/// A new authority, to be written to files.
pub struct NewAuthority {
    /// The certificate in PEM, behind lines that say what it is for.
    pub certificate: String,
    /// The key in PEM. Nobody but ramgate may read it.
    pub key: String,
}

/// Why there is no authority.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The files are not of an authority that ramgate made.
    #[error("the certificate authority is unreadable: {0}")]
    Unreadable(String),
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    NotMade(String),
}

/// The TLS side of a server that pretends to be a registry.
struct Leaf {
    config: Arc<ServerConfig>,
    made: SystemTime,
}

// === impl NewAuthority ===

impl NewAuthority {
    /// Makes an authority for `hosts`, each with what lies below, that is good from `now`.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn make(hosts: &[Host], now: SystemTime) -> Result<Self, AuthorityError> {
        let mut params = authority_params();
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = (now + AUTHORITY_LIFE).into();
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: hosts.iter().map(subtree).collect(),
            excluded_subtrees: Vec::new(),
        });
        let key = KeyPair::generate().map_err(not_made)?;
        let certificate = params.self_signed(&key).map_err(not_made)?;
        let mut text = "ramgate inspection: for this host only\n".to_owned();
        for host in hosts {
            text.push_str(PERMITTED);
            text.push_str(host.as_str());
            text.push('\n');
        }
        text.push_str(&pem("CERTIFICATE", certificate.der()));
        Ok(Self {
            certificate: text,
            key: pem("PRIVATE KEY", &key.serialize_der()),
        })
    }
}

impl fmt::Debug for NewAuthority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NewAuthority")
            .finish_non_exhaustive()
    }
}

// === impl Authority ===

impl Authority {
    /// Reads what [`NewAuthority`] made.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let unreadable = |error: &dyn fmt::Display| AuthorityError::Unreadable(error.to_string());
        CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| unreadable(&error))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| unreadable(&error))?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|error| unreadable(&error))?;
        let permitted = certificate
            .lines()
            .filter_map(|line| line.strip_prefix(PERMITTED))
            .filter_map(|host| host.trim().parse().ok())
            .collect();
        Ok(Self {
            issuer: Issuer::new(authority_params(), key),
            permitted,
            leaves: Mutex::default(),
        })
    }

    /// Whether it may vouch for `host`. Clients refuse what it would say of others.
    #[must_use]
    pub fn permits(&self, host: &Host) -> bool {
        self.permitted.iter().any(|permitted| {
            permitted == host || host.parents().any(|parent| parent == permitted.as_str())
        })
    }

    /// The TLS side of a server at `host`.
    pub(crate) fn server(
        &self,
        host: &Host,
        now: SystemTime,
    ) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(host) {
            let age = now.duration_since(leaf.made).unwrap_or(LEAF_LIFE);
            if age < LEAF_LIFE / 2 {
                return Ok(Arc::clone(&leaf.config));
            }
        }
        // Hosts below a wildcard are as many as a client can make up.
        if leaves.len() >= LEAVES_MAX {
            leaves.clear();
        }
        let config = self.sign(host, now)?;
        let leaf = Leaf {
            config: Arc::clone(&config),
            made: now,
        };
        leaves.insert(host.clone(), leaf);
        Ok(config)
    }

    fn sign(&self, host: &Host, now: SystemTime) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut params =
            CertificateParams::new(vec![host.as_str().to_owned()]).map_err(not_made)?;
        params.distinguished_name = DistinguishedName::new();
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = (now + LEAF_LIFE).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(not_made)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(not_made)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| AuthorityError::NotMade(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(|error| AuthorityError::NotMade(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authority")
            .field("permitted", &self.permitted)
            .finish_non_exhaustive()
    }
}

/// What the authority is known by; the same each time, since a signature needs it and no parser of certificates is here.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "ramgate inspection");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn subtree(host: &Host) -> GeneralSubtree {
    match host.as_str().parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(address.octets(), 32))
        }
        Ok(IpAddr::V6(address)) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(address.octets(), 128))
        }
        Err(_) => GeneralSubtree::DnsName(host.as_str().to_owned()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn not_made(error: rcgen::Error) -> AuthorityError {
    AuthorityError::NotMade(error.to_string())
}

/// RFC 7468. rcgen's own wants a second version of base64 in the tree.
fn pem(label: &str, content: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(content);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, letter) in encoded.char_indices() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

/// Begins a line of the certificate's file for each host that it may vouch for.
const PERMITTED: &str = "permitted: ";
/// Clocks of containers and hosts differ by less.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);
/// Two years, after which `ramgate egress ca rotate` is due.
const AUTHORITY_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
/// A week; they are made anew at half of it.
const LEAF_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// More registries than anybody lists.
const LEAVES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(hosts: &[&str]) -> (NewAuthority, Authority) {
        let hosts: Vec<Host> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let new = NewAuthority::make(&hosts, now()).unwrap();
        let read = Authority::read(&new.certificate, &new.key).unwrap();
        (new, read)
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    #[test]
    fn it_vouches_for_its_hosts_and_what_lies_below() {
        let (_, authority) = authority(&["ghcr.io", "10.0.0.1"]);
        for (host, expected) in [
            ("ghcr.io", true),
            ("a.ghcr.io", true),
            ("evil-ghcr.io", false),
            ("io", false),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
        ] {
            assert_eq!(
                authority.permits(&host.parse().unwrap()),
                expected,
                "{host}"
            );
        }
    }

    #[test]
    fn a_certificate_is_made_once_and_anew_before_it_ends() {
        let (_, authority) = authority(&["ghcr.io"]);
        let host = "ghcr.io".parse().unwrap();
        let first = authority.server(&host, now()).unwrap();
        let again = authority.server(&host, now() + LEAF_LIFE / 3).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let later = authority.server(&host, now() + LEAF_LIFE * 2 / 3).unwrap();
        assert!(!Arc::ptr_eq(&first, &later));
    }

    #[test]
    fn the_key_is_not_shown() {
        let (new, authority) = authority(&["ghcr.io"]);
        let line = new.key.lines().nth(1).unwrap();
        assert!(!format!("{new:?} {authority:?}").contains(line));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let (new, _) = authority(&["ghcr.io"]);
        assert!(Authority::read(&new.certificate, "").is_err());
        assert!(Authority::read("", &new.key).is_err());
        assert!(Authority::read(&new.certificate, &new.certificate).is_err());
    }
}
