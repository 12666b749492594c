//! What a mirror is made with.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ramgate_policy::Registry;
use ramgate_provenance::Canaries;
use reqwest::Url;

use crate::storage::Storage;

/// Where a mirror keeps things, and what it fetches from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where content is kept.
    pub storage: Storage,
    /// How long a tag is taken to point where it did.
    pub tag_ttl: Duration,
    /// How long what is cached is served while the upstream fails.
    pub stale_if_error: Duration,
    /// Where registries are really reached. Docker Hub is reached at `registry-1.docker.io` and every other registry at its
    /// own name, unless it stands here.
    pub upstreams: BTreeMap<Registry, Upstream>,
    /// Hosts that the daemon is asked for to see whether it comes past here.
    pub canaries: Canaries,
}

/// Where a registry is really reached.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Scheme, host and port.
    pub url: Url,
    /// Its certificate authorities in PEM, beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// What to log in with.
    pub credentials: Option<Credentials>,
    /// Hosts of token services outside the registry's own domain.
    pub token_realms: Vec<String>,
}

/// What to log in with.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: String,
}

// === impl Credentials ===

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
