//! Fetches from the registries that stand behind the mirror.
//!
//! Over reqwest rather than `oci-client`, which follows redirects by itself, sends its credentials to whatever realm a
//! challenge names, and hands out no body that is still being verified. All three are what this module is about.
//!
//! INVARIANT(permit): every fetch takes the permit for the repository. INVARIANT(named): no host is dialled that is not the
//! registry's own, one that it is known to need, or one that policy or settings name. Nothing that a client sent is passed on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use ramgate_policy::{DEFAULT_PORT, Digest, Host, Permit, Policy, Registry};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Client, Method, Response, StatusCode, Url};
use thiserror::Error;

use crate::challenge::{Challenge, InvalidChallenge};
use crate::config::{Config, Credentials, Upstream};
use crate::manifest::{INDEXES, MEDIA_TYPES};
use crate::metrics::Metrics;
use crate::token::{TokenAnswer, Tokens};

/// All upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    client: Client,
    named: BTreeMap<Registry, Arc<Endpoint>>,
    /// Registries that the settings do not name, at their own names.
    others: Cache<Registry, Arc<Endpoint>>,
    metrics: Metrics,
}

/// One upstream.
#[derive(Debug)]
struct Endpoint {
    url: Url,
    client: Client,
    credentials: Option<Credentials>,
    token_realms: Vec<String>,
    tokens: Tokens,
}

/// What is fetched of a repository.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource<'a> {
    /// A manifest, by tag or digest.
    Manifest(&'a str),
    /// A blob.
    Blob(&'a Digest),
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
        let client = client(None)?;
        let mut named = BTreeMap::new();
        for (registry, upstream) in &config.upstreams {
            named.insert(
                registry.clone(),
                Arc::new(Endpoint::new(upstream, &client)?),
            );
        }
        Ok(Self {
            client,
            named,
            others: Cache::new(OTHERS_MAX),
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
            Err(_) => "unreachable",
        };
        self.metrics.upstream(outcome, started.elapsed());
        let response = fetched?;
        let status = response.status();
        match status {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(UpstreamError::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(UpstreamError::Refused(status)),
            StatusCode::TOO_MANY_REQUESTS => Err(UpstreamError::RateLimited {
                retry_after: response.headers().get(RETRY_AFTER).cloned(),
            }),
            _ => Err(UpstreamError::Failed(status)),
        }
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
        let endpoint = Arc::new(Endpoint {
            url,
            client: self.client.clone(),
            credentials: None,
            token_realms: Vec::new(),
            tokens: Tokens::default(),
        });
        self.others.insert(registry.clone(), Arc::clone(&endpoint));
        Ok(endpoint)
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn new(upstream: &Upstream, shared: &Client) -> Result<Self, reqwest::Error> {
        let own = upstream
            .ca_pem
            .as_deref()
            .map(|pem| client(Some(pem)))
            .transpose()?;
        Ok(Self {
            url: upstream.url.clone(),
            client: own.unwrap_or_else(|| shared.clone()),
            credentials: upstream.credentials.clone(),
            token_realms: upstream.token_realms.clone(),
            tokens: Tokens::default(),
        })
    }

    async fn fetch(
        &self,
        permit: &Permit,
        policy: &Policy,
        method: Method,
        resource: Resource<'_>,
    ) -> Result<Response, UpstreamError> {
        let repository = permit.repository();
        let path = match resource {
            Resource::Manifest(pointer) => format!("/v2/{}/manifests/{pointer}", repository.path()),
            Resource::Blob(digest) => format!("/v2/{}/blobs/{digest}", repository.path()),
            Resource::Referrers(digest, page) => {
                format!("/v2/{}/referrers/{digest}{page}", repository.path())
            }
            Resource::Tags(page) => format!("/v2/{}/tags/list{page}", repository.path()),
        };
        let url = self.url.join(&path).map_err(|_| UpstreamError::NoAddress)?;
        let known = self.tokens.find(repository, Instant::now());
        let authorization = known.as_deref().and_then(bearer);
        let first = self
            .follow(
                permit,
                policy,
                &method,
                &url,
                resource,
                authorization.as_ref(),
            )
            .await?;
        if first.status() != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        self.tokens.forget(repository);
        match self.authorize(permit, &first).await? {
            Some(authorization) => {
                self.follow(
                    permit,
                    policy,
                    &method,
                    &url,
                    resource,
                    Some(&authorization),
                )
                .await
            }
            None => Ok(first),
        }
    }

    /// What to answer a challenge with; `None` if there is nothing.
    async fn authorize(
        &self,
        permit: &Permit,
        refusal: &Response,
    ) -> Result<Option<HeaderValue>, UpstreamError> {
        let header = refusal
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let basic = header
            .get(..5)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"));
        if basic {
            // The registry itself asks, so it is the registry that gets them.
            return Ok(self
                .credentials
                .as_ref()
                .and_then(|credentials| basic_header(&self.client, &self.url, credentials)));
        }
        let challenge = Challenge::parse(header)?.bound_to(&self.url, &self.token_realms)?;
        let scope = format!("repository:{}:pull", permit.repository().path());
        let mut url = challenge.realm;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("scope", &scope);
            if let Some(service) = &challenge.service {
                query.append_pair("service", service);
            }
        }
        let mut request = self.client.get(url);
        if let Some(credentials) = &self.credentials {
            request = request.basic_auth(&credentials.username, Some(&credentials.password));
        }
        let response = request.send().await.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(UpstreamError::RateLimited {
                    retry_after: response.headers().get(RETRY_AFTER).cloned(),
                });
            }
            status if status.is_client_error() => return Err(UpstreamError::Refused(status)),
            status => return Err(UpstreamError::Failed(status)),
        }
        let body = limited(response, TOKEN_SIZE_MAX_BYTES).await?;
        let answer: Option<TokenAnswer> = body.and_then(|body| serde_json::from_slice(&body).ok());
        let (token, life) = answer
            .and_then(TokenAnswer::token)
            .ok_or(InvalidChallenge::Unreadable)?;
        self.tokens
            .keep(permit.repository(), &token, life, Instant::now());
        Ok(bearer(&token))
    }

    /// Sends a request, and follows redirects to hosts that are named.
    async fn follow(
        &self,
        permit: &Permit,
        policy: &Policy,
        method: &Method,
        url: &Url,
        resource: Resource<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, UpstreamError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self.client.request(method.clone(), url.clone());
            if let Resource::Manifest(_) = resource {
                request = request.header(ACCEPT, MEDIA_TYPES.join(", "));
            }
            if let Resource::Referrers(..) = resource {
                request = request.header(ACCEPT, INDEXES[0]);
            }
            // A presigned address takes no second authorization, and another host gets none of this one's.
            if let Some(authorization) = authorization.filter(|_| same_authority(&url, &self.url)) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = request.send().await.map_err(unreachable)?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response
                .headers()
                .get(LOCATION)
                .and_then(|value| value.to_str().ok());
            let next = location
                .and_then(|location| url.join(location).ok())
                .ok_or(UpstreamError::Redirects)?;
            if !self.may_follow(permit, policy, &next) {
                return Err(UpstreamError::ForeignRedirect(
                    next.host_str().unwrap_or_default().to_owned(),
                ));
            }
            url = next;
        }
        Err(UpstreamError::Redirects)
    }

    fn may_follow(&self, permit: &Permit, policy: &Policy, next: &Url) -> bool {
        let safe =
            next.scheme() == "https" || (next.scheme() == "http" && self.url.scheme() == "http");
        if !safe || !next.username().is_empty() || next.password().is_some() {
            return false;
        }
        let host = next.host_str().and_then(|host| host.parse::<Host>().ok());
        let port = next.port_or_known_default().unwrap_or(DEFAULT_PORT);
        let registry = permit.repository().registry();
        same_authority(next, &self.url)
            || host.is_some_and(|host| policy.names_redirect(registry, &host, port))
    }
}

// === impl UpstreamError ===

impl UpstreamError {
    /// Whether it is the upstream's state and not its answer: then what is cached may be served.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Failed(_) | Self::Unreachable(_) => true,
            Self::NotFound
            | Self::Refused(_)
            | Self::Challenge(_)
            | Self::ForeignRedirect(_)
            | Self::Redirects
            | Self::NoAddress => false,
        }
    }
}

/// Reads a body of at most `limit` bytes; `None` if it is longer.
pub(crate) async fn limited(
    mut response: Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, UpstreamError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn client(ca_pem: Option<&[u8]>) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("ramgate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // Where to connect to is this module's decision, not an environment variable's.
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    if let Some(pem) = ca_pem {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem)?);
    }
    builder.build()
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn basic_header(client: &Client, url: &Url, credentials: &Credentials) -> Option<HeaderValue> {
    let request = client
        .get(url.clone())
        .basic_auth(&credentials.username, Some(&credentials.password))
        .build()
        .ok()?;
    request.headers().get(AUTHORIZATION).cloned()
}

fn same_authority(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// The error without its URL, which may be presigned.
fn unreachable(error: reqwest::Error) -> UpstreamError {
    UpstreamError::Unreachable(error.without_url())
}

/// Docker Hub's name in references is not where its registry answers.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// Registries without settings of their own that are remembered; the rest are made anew.
const OTHERS_MAX: u64 = 1_000;
/// Docker Hub redirects once; some registries twice.
const REDIRECTS_MAX: usize = 5;
/// As dockerd's own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two reads: a large blob may take long, a silent upstream may not.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Tokens are a few KiB; a token service has no reason to send more.
const TOKEN_SIZE_MAX_BYTES: usize = 256 * 1024;
