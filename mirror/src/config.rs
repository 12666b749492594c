//! What a mirror is made with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ramgate_policy::Registry;
use ramgate_provenance::{Canaries, Delegations};
use reqwest::Url;

pub use crate::credentials::{Login, LoginSource};
use crate::site_proxy::SiteProxy;
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
    /// How long a manifest that the upstream does not have is taken to be absent. Never kept over a restart.
    pub absent_ttl: Duration,
    /// Where registries are really reached. Docker Hub is reached at `registry-1.docker.io` and every other registry at its
    /// own name, unless it stands here.
    pub upstreams: BTreeMap<Registry, Upstream>,
    /// What to log in with, by registry or by a prefix of its repositories; the longest prefix counts.
    pub logins: Vec<Login>,
    /// A docker command line's `config.json`, asked where `logins` has nothing.
    pub docker_config: Option<PathBuf>,
    /// How long upstreams are waited for.
    pub timeouts: Timeouts,
    /// Hosts that the daemon is asked for to see whether it comes past here.
    pub canaries: Canaries,
    /// For whom the daemon fetches just now, beside itself.
    pub delegations: Delegations,
    /// A proxy of the site, behind which the mirror stands.
    pub site_proxy: Option<SiteProxy>,
}

/// Where a registry is really reached.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Scheme, host and port.
    pub url: Url,
    /// Its certificate authorities in PEM, beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Hosts of token services outside the registry's own domain, as `host` or `host:port`.
    pub token_realms: Vec<String>,
    /// Hosts that it may redirect to for its content, beside those that it is known to need, as `host` or `host:port`.
    pub redirect_hosts: Vec<String>,
}

/// How long upstreams are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection: name, TCP and TLS.
    pub connect: Duration,
    /// For the next byte: a large blob may take long, a silent upstream may not.
    pub read: Duration,
    /// For the whole of what is held in memory: manifests, tokens, lists of tags. After so long a blob must come at a rate.
    pub whole: Duration,
}

// === impl Config ===

impl Config {
    /// What holds where nothing else is said.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            tag_ttl: Duration::from_mins(1),
            stale_if_error: Duration::from_hours(24),
            absent_ttl: Duration::from_secs(10),
            upstreams: BTreeMap::new(),
            logins: Vec::new(),
            docker_config: None,
            timeouts: Timeouts::default(),
            canaries: Canaries::default(),
            delegations: Delegations::default(),
            site_proxy: None,
        }
    }
}

// === impl Upstream ===

impl Upstream {
    /// An upstream at `url` of which nothing else is known.
    #[must_use]
    pub const fn new(url: Url) -> Self {
        Self {
            url,
            ca_pem: None,
            token_realms: Vec::new(),
            redirect_hosts: Vec::new(),
        }
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // As dockerd's own.
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            whole: Duration::from_mins(1),
        }
    }
}
