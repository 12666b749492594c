//! Asks Docker Hub's API what a namespace is: `GET /v2/orgs/<namespace>/`, whose `badge` says it.
//!
//! INVARIANT(named): nothing but that address is dialled. A redirect is an answer (a user is no organization) or a mistake, and
//! never followed.

use std::time::Duration;

use ramgate_policy::{Category, Doubt};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use thiserror::Error;

/// A client of Docker Hub's API.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    client: Client,
    url: Url,
}

/// What Docker Hub says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The category; `None`: there is no such organization.
    pub(crate) category: Option<Category>,
    /// How long it asks to be left alone.
    pub(crate) pause: Option<Duration>,
}

/// Why Docker Hub says nothing.
#[derive(Debug, Error)]
pub(crate) enum HubError {
    /// It cannot be reached, or breaks off.
    #[error("Docker Hub cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It limits the rate.
    #[error("Docker Hub limits the rate; asked again in {0:?}")]
    Limited(Duration),
    /// It fails.
    #[error("Docker Hub failed with status {0}")]
    Failed(StatusCode),
    /// The answer is not what it should be.
    #[error("Docker Hub's answer cannot be read: {0}")]
    Unreadable(&'static str),
}

/// Docker Hub's object of an organization, as far as it matters.
#[derive(Deserialize)]
struct Organization {
    orgname: String,
    #[serde(default)]
    badge: Option<String>,
}

// === impl Hub ===

impl Hub {
    pub(crate) fn new(url: Url, ca_pem: Option<&[u8]>) -> Result<Self, reqwest::Error> {
        let mut builder = Client::builder()
            .user_agent(concat!("ramgate/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // Where to connect to is the settings' decision, not an environment variable's.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        if let Some(pem) = ca_pem {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        Ok(Self {
            client: builder.build()?,
            url,
        })
    }

    /// Asks what `namespace` is. `now` is in seconds since 1970.
    pub(crate) async fn ask(&self, namespace: &str, now: u64) -> Result<Answer, HubError> {
        let url = self
            .url
            .join(&format!("/v2/orgs/{namespace}/"))
            .map_err(|_| HubError::Unreadable("the namespace makes no URL"))?;
        let response = self.client.get(url).send().await.map_err(unreachable)?;
        let status = response.status();
        let pause = pause(response.headers(), status, now);
        let found = |category| Ok(Answer { category, pause });
        match status {
            StatusCode::OK => found(Some(organization(response, namespace).await?)),
            StatusCode::NOT_FOUND => found(None),
            StatusCode::TOO_MANY_REQUESTS => Err(HubError::Limited(pause.unwrap_or(PAUSE_DEFAULT))),
            _ if status.is_redirection() && is_user(response.headers(), namespace) => found(None),
            _ if status.is_redirection() => {
                Err(HubError::Unreadable("it redirects to something else"))
            }
            _ => Err(HubError::Failed(status)),
        }
    }
}

// === impl HubError ===

impl HubError {
    /// What users hear of it.
    pub(crate) const fn doubt(&self) -> Doubt {
        match self {
            Self::Unreachable(_) | Self::Failed(_) => Doubt::Unreachable,
            Self::Limited(_) => Doubt::Limited,
            Self::Unreadable(_) => Doubt::Unreadable,
        }
    }
}

async fn organization(mut response: Response, namespace: &str) -> Result<Category, HubError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > SIZE_MAX_BYTES {
            return Err(HubError::Unreadable("it is too long"));
        }
        body.extend_from_slice(&piece);
    }
    let organization: Organization =
        serde_json::from_slice(&body).map_err(|_| HubError::Unreadable("it is no organization"))?;
    // What answers for somebody else is not Docker Hub.
    if !organization.orgname.eq_ignore_ascii_case(namespace) {
        return Err(HubError::Unreadable("it is about another namespace"));
    }
    Ok(category(organization.badge.as_deref().unwrap_or_default()))
}

/// A badge that is not known gives nobody more than community has.
pub(crate) fn category(badge: &str) -> Category {
    match badge {
        "verified_publisher" => Category::VerifiedPublisher,
        "open_source" => Category::SponsoredOpenSource,
        _ => Category::Community,
    }
}

/// Docker Hub redirects from an organization that is a user to that user.
fn is_user(headers: &HeaderMap, namespace: &str) -> bool {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    location.is_some_and(|location| {
        let path = location.trim_end_matches('/');
        path.ends_with(&format!("/v2/users/{namespace}"))
    })
}

/// How long Docker Hub wants to be left alone: `X-Retry-After` and `X-RateLimit-Reset` are points in time, `Retry-After` is a
/// number of seconds.
fn pause(headers: &HeaderMap, status: StatusCode, now: u64) -> Option<Duration> {
    let number =
        |name: &str| -> Option<u64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    let until = |time: u64| time.saturating_sub(now);
    let seconds = if status == StatusCode::TOO_MANY_REQUESTS {
        number("x-retry-after")
            .map(until)
            .or_else(|| number(RETRY_AFTER.as_str()))
            .or_else(|| number("x-ratelimit-reset").map(until))
            .unwrap_or(PAUSE_DEFAULT.as_secs())
    } else if number("x-ratelimit-remaining") == Some(0) {
        number("x-ratelimit-reset").map(until)?
    } else {
        return None;
    };
    Some(Duration::from_secs(seconds).clamp(PAUSE_MIN, PAUSE_MAX))
}

/// The error without its URL: it goes to the log, and the namespace is there already.
fn unreachable(error: reqwest::Error) -> HubError {
    HubError::Unreachable(error.without_url())
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than anybody waits for it: the answer is for the next one.
const TIMEOUT: Duration = Duration::from_secs(20);
/// An organization is a few hundred bytes.
const SIZE_MAX_BYTES: usize = 64 * 1024;
const PAUSE_DEFAULT: Duration = Duration::from_mins(1);
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Docker Hub's own windows are shorter; a clock that is wrong must not silence us for a year.
const PAUSE_MAX: Duration = Duration::from_mins(15);
