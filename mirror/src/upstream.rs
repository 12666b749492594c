//! Fetches from the registries that stand behind the mirror.
//!
//! Over reqwest rather than `oci-client`, which follows redirects by itself, sends its credentials to whatever realm a
//! challenge names, and hands out no body that is still being verified. All three are what this module is about.
//!
//! INVARIANT(permit): every fetch takes the permit for the repository. INVARIANT(named): no host is dialled that is not the
//! registry's own, one that it is known to need, or one that policy or settings name. Nothing that a client sent is passed on.

mod circuit;
mod client;
mod endpoint;
mod guard;
mod pace;
mod rate;
mod reached;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use moka::sync::Cache;
use ramgate_policy::{Digest, Host, Permit, Policy, Registry};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode, Url};
use thiserror::Error;

pub(crate) use self::client::limited;
use self::endpoint::Endpoint;
pub(crate) use self::endpoint::names;
use self::guard::{Guard, RefusedAddress};
use self::pace::{Pace, paced};
pub use self::rate::Rate;
use self::rate::Rates;
pub(crate) use self::reached::{Reached, place};
use crate::challenge::InvalidChallenge;
use crate::config::{Config, Timeouts};
use crate::credentials::{CredentialsError, Logins};
use crate::metrics::Metrics;
use crate::site_proxy::SiteProxy;

/// All upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    client: Client,
    named: BTreeMap<Registry, Arc<Endpoint>>,
    /// Registries that the settings do not name, at their own names.
    others: Cache<Registry, Arc<Endpoint>>,
    shared: Arc<Shared>,
    metrics: Metrics,
}

/// What all upstreams share.
#[derive(Debug)]
struct Shared {
    logins: Logins,
    rates: Rates,
    timeouts: Timeouts,
    site_proxy: Option<SiteProxy>,
}

/// What is fetched of a repository.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource<'a> {
    /// A manifest, by tag or digest.
    Manifest(&'a str),
    /// A blob.
    Blob(&'a Digest),
    /// A blob from this byte on; the answer may be the whole.
    Rest(&'a Digest, u64),
    /// A page of its tags: the query that says which.
    Tags(&'a str),
    /// A page of what refers to a manifest: the digest, and the query that says which.
    Referrers(&'a Digest, &'a str),
}

/// Why a fetch failed.
#[derive(Debug, Error)]
pub(crate) enum UpstreamError {
    /// It is not there.
    #[error("the upstream does not have it")]
    NotFound,
    /// The upstream wants credentials that it does not get, or refuses those it got.
    #[error("the upstream refused with status {0}")]
    Refused(StatusCode),
    /// Too many requests.
    #[error("the upstream limits the rate")]
    RateLimited {
        /// What it said of when to come again.
        retry_after: Option<HeaderValue>,
    },
    /// The upstream fails, or answers nonsense.
    #[error("the upstream failed with status {0}")]
    Failed(StatusCode),
    /// It cannot be reached, or breaks off.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It could not be reached a moment ago.
    #[error("the upstream could not be reached a moment ago, and is left alone for a while")]
    Resting {
        /// When it is tried again.
        retry_after: HeaderValue,
    },
    /// Its name leads where it must not.
    #[error(transparent)]
    Address(#[from] RefusedAddress),
    /// What to log in with cannot be had.
    #[error("the credentials for the upstream cannot be had")]
    Credentials(#[from] CredentialsError),
    /// Its challenge is not met.
    #[error(transparent)]
    Challenge(#[from] InvalidChallenge),
    /// It redirects to a host that nobody named.
    #[error(
        "the upstream redirects to `{0}`, which is none of its hosts; if that is right, add it to redirect-hosts"
    )]
    ForeignRedirect(String),
    /// It redirects without end, or to nowhere.
    #[error("the upstream redirects without end or to nowhere")]
    Redirects,
    /// The registry's name makes no URL.
    #[error("the registry has no address")]
    NoAddress,
}

// === impl Upstreams ===

impl Upstreams {
    pub(crate) fn new(config: &Config, metrics: Metrics) -> Result<Self, reqwest::Error> {
        let shared = Arc::new(Shared {
            logins: Logins::new(config.logins.clone(), config.docker_config.clone()),
            rates: Rates::new(metrics.clone()),
            timeouts: config.timeouts,
            site_proxy: config.site_proxy.clone(),
        });
        let mut named = BTreeMap::new();
        for (registry, upstream) in &config.upstreams {
            let endpoint = Endpoint::of_settings(registry, upstream, &shared)?;
            named.insert(registry.clone(), Arc::new(endpoint));
        }
        Ok(Self {
            client: client::client(None, Guard::default(), &shared)?,
            named,
            others: Cache::new(OTHERS_MAX),
            shared,
            metrics,
        })
    }

    /// Fetches `resource` of the permitted repository. The body has not been read, nor verified.
    pub(crate) async fn fetch(
        &self,
        permit: &Permit,
        policy: &Policy,
        method: Method,
        resource: Resource<'_>,
    ) -> Result<Response, UpstreamError> {
        let endpoint = self.endpoint(permit.repository().registry())?;
        let started = Instant::now();
        let fetched = endpoint.fetch(permit, policy, method, resource).await;
        let outcome = match &fetched {
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => "rate-limited",
            Ok(response) if response.status().is_server_error() => "failed",
            Ok(_) => "answered",
            Err(UpstreamError::RateLimited { .. }) => "rate-limited",
            Err(UpstreamError::Resting { .. }) => "resting",
            Err(
                UpstreamError::Address(_)
                | UpstreamError::Credentials(_)
                | UpstreamError::Challenge(_)
                | UpstreamError::ForeignRedirect(_)
                | UpstreamError::Redirects
                | UpstreamError::NoAddress,
            ) => "refused",
            Err(_) => "unreachable",
        };
        self.metrics.upstream(outcome, started.elapsed());
        let response = fetched?;
        let status = response.status();
        let pace = match resource {
            Resource::Manifest(_) | Resource::Tags(_) | Resource::Referrers(..) => Pace::Whole,
            Resource::Blob(_) | Resource::Rest(..) => Pace::Rate,
        };
        match status {
            StatusCode::PARTIAL_CONTENT if matches!(resource, Resource::Rest(..)) => {
                Ok(paced(response, pace, &self.shared.timeouts))
            }
            StatusCode::OK => Ok(paced(response, pace, &self.shared.timeouts)),
            StatusCode::NOT_FOUND => Err(UpstreamError::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(UpstreamError::Refused(status)),
            StatusCode::TOO_MANY_REQUESTS => Err(UpstreamError::limited(&response)),
            _ => Err(UpstreamError::Failed(status)),
        }
    }

    /// How `registry` is reached in a caller's name, who asked for it as `host`; the caller brings its own credentials.
    pub(crate) fn reach(&self, registry: &Registry, host: &Host) -> Result<Reached, UpstreamError> {
        let endpoint = self.endpoint(registry)?;
        let asked = (!self.named.contains_key(registry)).then_some(host);
        endpoint.reached(asked).ok_or(UpstreamError::NoAddress)
    }

    /// What registries have told of their rate limits.
    pub(crate) fn rates(&self) -> BTreeMap<Registry, Rate> {
        self.shared.rates.all()
    }

    fn endpoint(&self, registry: &Registry) -> Result<Arc<Endpoint>, UpstreamError> {
        if let Some(endpoint) = self.named.get(registry) {
            return Ok(Arc::clone(endpoint));
        }
        if let Some(endpoint) = self.others.get(registry) {
            return Ok(endpoint);
        }
        let host = if registry.is_docker_hub() {
            DOCKER_HUB_HOST.to_owned()
        } else {
            registry.to_string()
        };
        let url = Url::parse(&format!("https://{host}")).map_err(|_| UpstreamError::NoAddress)?;
        let endpoint = Endpoint::at_its_name(registry, url, &self.client, &self.shared);
        let endpoint = Arc::new(endpoint);
        self.others.insert(registry.clone(), Arc::clone(&endpoint));
        Ok(endpoint)
    }
}

// === impl UpstreamError ===

impl UpstreamError {
    /// Whether it is the upstream's state and not its answer: then what is cached may be served.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Failed(_)
            | Self::Unreachable(_)
            | Self::Resting { .. } => true,
            Self::NotFound
            | Self::Refused(_)
            | Self::Address(_)
            | Self::Credentials(_)
            | Self::Challenge(_)
            | Self::ForeignRedirect(_)
            | Self::Redirects
            | Self::NoAddress => false,
        }
    }

    /// What an answer of 429 says.
    fn limited(response: &Response) -> Self {
        Self::RateLimited {
            retry_after: response.headers().get(RETRY_AFTER).cloned(),
        }
    }

    /// The error without its URL, which may be presigned.
    pub(crate) fn unreachable(error: reqwest::Error) -> Self {
        match RefusedAddress::within(&error) {
            Some(refused) => Self::Address(refused),
            None => Self::Unreachable(error.without_url()),
        }
    }
}

/// Docker Hub's name in references is not where its registry answers.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// Registries without settings of their own that are remembered; the rest are made anew.
const OTHERS_MAX: u64 = 1_000;
