//! One upstream: asks it, meets its challenge, follows its redirects, and leaves it alone when it says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use ramgate_policy::{DEFAULT_PORT, Host, Permit, Policy, Registry};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use super::circuit::{Circuit, Why, retry_after};
use super::client::{client, limited};
use super::guard::Guard;
use super::pace::{Pace, paced};
use super::reached::{Reached, place};
use super::{Resource, Shared, UpstreamError};
use crate::challenge::{Challenge, InvalidChallenge};
use crate::config::Upstream;
use crate::credentials::Secret;
use crate::manifest::{INDEXES, MEDIA_TYPES};
use crate::token::{self, Scope, TokenAnswer, Tokens};

/// One upstream.
#[derive(Debug)]
pub(super) struct Endpoint {
    registry: Registry,
    url: Url,
    client: Client,
    guard: Guard,
    token_realms: Vec<String>,
    redirect_hosts: Vec<String>,
    tokens: Tokens,
    /// Whether it has asked for Basic: then it is not asked without the second time.
    wants_basic: AtomicBool,
    circuit: Circuit,
    shared: Arc<Shared>,
}

/// A request on its way through the redirects of an upstream.
#[derive(Clone, Copy)]
struct Errand<'a> {
    permit: &'a Permit,
    policy: &'a Policy,
    method: &'a Method,
    url: &'a Url,
    resource: Resource<'a>,
}

// === impl Endpoint ===

impl Endpoint {
    /// An upstream that the settings name. What they name for it may lie in the site's own network.
    pub(super) fn of_settings(
        registry: &Registry,
        upstream: &Upstream,
        shared: &Arc<Shared>,
    ) -> Result<Self, reqwest::Error> {
        let named = upstream.token_realms.iter().chain(&upstream.redirect_hosts);
        let named = named.map(|name| host_of(name));
        let guard = Guard::of_configured(named.chain(upstream.url.host_str()));
        let client = client(upstream.ca_pem.as_deref(), guard.clone(), shared)?;
        let mut endpoint = Self::at_its_name(registry, upstream.url.clone(), &client, shared);
        endpoint.guard = guard;
        endpoint.token_realms.clone_from(&upstream.token_realms);
        endpoint.redirect_hosts.clone_from(&upstream.redirect_hosts);
        Ok(endpoint)
    }

    /// An upstream of which nothing is set: on the Internet, and what it is known to need.
    pub(super) fn at_its_name(
        registry: &Registry,
        url: Url,
        client: &Client,
        shared: &Arc<Shared>,
    ) -> Self {
        Self {
            registry: registry.clone(),
            url,
            client: client.clone(),
            guard: Guard::default(),
            token_realms: Vec::new(),
            redirect_hosts: Vec::new(),
            tokens: Tokens::default(),
            wants_basic: AtomicBool::new(false),
            circuit: Circuit::default(),
            shared: Arc::clone(shared),
        }
    }

    /// What a caller's own request goes by, to `asked` where the settings do not say where the registry is.
    pub(super) fn reached(&self, asked: Option<&Host>) -> Option<Reached> {
        Reached::new(
            &self.client,
            &self.guard,
            &self.url,
            &self.redirect_hosts,
            asked,
        )
    }

    pub(super) async fn fetch(
        &self,
        permit: &Permit,
        policy: &Policy,
        method: Method,
        resource: Resource<'_>,
    ) -> Result<Response, UpstreamError> {
        let repository = permit.repository();
        let path = match resource {
            Resource::Manifest(pointer) => format!("/v2/{}/manifests/{pointer}", repository.path()),
            Resource::Blob(digest) | Resource::Rest(digest, _) => {
                format!("/v2/{}/blobs/{digest}", repository.path())
            }
            Resource::Referrers(digest, page) => {
                format!("/v2/{}/referrers/{digest}{page}", repository.path())
            }
            Resource::Tags(page) => format!("/v2/{}/tags/list{page}", repository.path()),
        };
        let url = self.url.join(&path).map_err(|_| UpstreamError::NoAddress)?;
        let errand = Errand {
            permit,
            policy,
            method: &method,
            url: &url,
            resource,
        };
        let secret = self.shared.logins.find(repository).await?;
        let login = self.shared.logins.fingerprint(secret.as_ref());
        let scope = (repository.clone(), login);
        let known = self.known(&scope, secret.as_ref());
        let first = self.follow(errand, known.as_ref()).await?;
        if first.status() != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        self.tokens.forget(&scope);
        match self.authorize(scope, secret.as_ref(), &first).await? {
            Some(authorization) => self.follow(errand, Some(&authorization)).await,
            None => Ok(first),
        }
    }

    /// What is sent without waiting for a challenge.
    fn known(&self, scope: &Scope, secret: Option<&Secret>) -> Option<HeaderValue> {
        if self.wants_basic.load(Ordering::Relaxed) {
            return self.basic(secret);
        }
        let token = self.tokens.find(scope, Instant::now())?;
        bearer(&token)
    }

    /// What to answer a challenge with; `None` if there is nothing.
    async fn authorize(
        &self,
        scope: Scope,
        secret: Option<&Secret>,
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
        self.wants_basic.store(basic, Ordering::Relaxed);
        if basic {
            // The registry itself asks, so it is the registry that gets them.
            return Ok(self.basic(secret));
        }
        let challenge = Challenge::parse(header)?.bound_to(&self.url, &self.token_realms)?;
        self.guard.judge(&challenge.realm)?;
        let request = token::request(&self.client, challenge, &scope.0, secret);
        let response = request.send().await.map_err(UpstreamError::unreachable)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => return Err(self.limit(&response)),
            status if status.is_client_error() => return Err(UpstreamError::Refused(status)),
            status => return Err(UpstreamError::Failed(status)),
        }
        let response = paced(response, Pace::Whole, &self.shared.timeouts);
        let body = limited(response, TOKEN_SIZE_MAX_BYTES).await?;
        let answer: Option<TokenAnswer> = body.and_then(|body| serde_json::from_slice(&body).ok());
        let (token, life) = answer
            .and_then(TokenAnswer::token)
            .ok_or(InvalidChallenge::Unreadable)?;
        let authorization = bearer(&token);
        self.tokens.keep(scope, token, life, Instant::now());
        Ok(authorization)
    }

    /// Sends a request, and follows redirects to hosts that are named.
    async fn follow(
        &self,
        errand: Errand<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, UpstreamError> {
        let mut url = errand.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            self.guard.judge(&url)?;
            let mut request = self.client.request(errand.method.clone(), url.clone());
            if let Resource::Manifest(_) = errand.resource {
                request = request.header(ACCEPT, MEDIA_TYPES.join(", "));
            }
            if let Resource::Referrers(..) = errand.resource {
                request = request.header(ACCEPT, INDEXES[0]);
            }
            if let Resource::Rest(_, from) = errand.resource {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let own = same_authority(&url, &self.url);
            // A presigned address takes no second authorization, and another host gets none of this one's.
            if let Some(authorization) = authorization.filter(|_| own) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = if own {
                self.ask(request).await?
            } else {
                request.send().await.map_err(UpstreamError::unreachable)?
            };
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
            if !self.may_follow(errand.permit, errand.policy, &next) {
                return Err(UpstreamError::ForeignRedirect(place(&next)));
            }
            url = next;
        }
        Err(UpstreamError::Redirects)
    }

    /// Asks the registry itself, unless it is to be left alone, and notes what its answer says of that.
    async fn ask(&self, request: RequestBuilder) -> Result<Response, UpstreamError> {
        let now = Instant::now();
        if let Err(rest) = self.circuit.admit(now, self.shared.timeouts.connect) {
            // Rounded up: who comes at the very second should not be too early.
            let seconds = HeaderValue::from((rest.until - now).as_secs() + 1);
            return Err(match rest.why {
                Why::RateLimited => UpstreamError::RateLimited {
                    retry_after: Some(seconds),
                },
                Why::Unreachable => UpstreamError::Resting {
                    retry_after: seconds,
                },
            });
        }
        let response = match request.send().await.map_err(UpstreamError::unreachable) {
            Ok(response) => response,
            Err(error) => {
                if matches!(error, UpstreamError::Unreachable(_)) {
                    self.circuit.failed(Instant::now());
                }
                return Err(error);
            }
        };
        self.circuit.answered();
        self.shared.rates.note(&self.registry, response.headers());
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.limit(&response));
        }
        Ok(response)
    }

    /// Leaves the upstream alone for as long as it says.
    fn limit(&self, response: &Response) -> UpstreamError {
        let header = response.headers().get(RETRY_AFTER);
        let pause = retry_after(header, wall_clock());
        tracing::warn!(registry = %self.registry, seconds = pause.as_secs(), "upstream limits the rate, and is left alone");
        self.circuit.limited(pause, Instant::now());
        UpstreamError::RateLimited {
            retry_after: Some(HeaderValue::from(pause.as_secs())),
        }
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
            || self.redirect_hosts.iter().any(|name| names(name, next))
            || host.is_some_and(|host| policy.names_redirect(registry, &host, port))
    }

    fn basic(&self, secret: Option<&Secret>) -> Option<HeaderValue> {
        let Some(Secret::Password { username, password }) = secret else {
            return None;
        };
        let request = self
            .client
            .get(self.url.clone())
            .basic_auth(username, Some(password))
            .build()
            .ok()?;
        request.headers().get(AUTHORIZATION).cloned()
    }
}

/// Whether `name`, as `host` or `host:port`, is where `url` leads.
pub(crate) fn names(name: &str, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default();
    name.eq_ignore_ascii_case(host)
        || port.is_some_and(|port| name.eq_ignore_ascii_case(&format!("{host}:{port}")))
}

/// The host of `host[:port]`.
fn host_of(name: &str) -> &str {
    ramgate_policy::split_port(name).map_or(name, |(host, _)| host)
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn same_authority(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// A `Retry-After` may be a date.
#[expect(
    clippy::disallowed_methods,
    reason = "an upstream names a time of day, which no other clock tells"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Docker Hub redirects once; some registries twice.
const REDIRECTS_MAX: usize = 5;
/// Tokens are a few KiB; a token service has no reason to send more.
const TOKEN_SIZE_MAX_BYTES: usize = 256 * 1024;
