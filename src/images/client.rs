//! Asks the running mirror, as an engine would: so that policy, evidence and cache apply.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ramgate_policy::{Digest, Repository};
use ramgate_provenance::Verified;
use serde::Deserialize;
use thiserror::Error;

use crate::settings::Settings;

/// A client of the mirror that runs on this host.
#[derive(Clone, Debug)]
pub(crate) struct MirrorClient {
    address: SocketAddr,
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// A manifest, verified.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) bytes: Bytes,
}

/// A blob that is about to come, and must be verified.
#[derive(Debug)]
pub(crate) struct Coming {
    pub(crate) body: Incoming,
    /// Whether the mirror has it already.
    pub(crate) cached: bool,
}

/// Why the mirror does not give something.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// The mirror is switched off.
    #[error("the mirror is switched off: `mirror.enabled` is false in the settings")]
    Off,
    /// Nobody answers.
    #[error(
        "no mirror answers at {0}; start it with `ramgate serve`, or name its settings with `--settings`"
    )]
    NobodyThere(SocketAddr),
    /// The policy says no.
    #[error("{0}")]
    Denied(String),
    /// It answers with something else.
    #[error("{what}: {text}")]
    Failed {
        /// What was asked for.
        what: String,
        /// What it said.
        text: String,
    },
}

/// The error body of the distribution spec.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
}

// === impl MirrorClient ===

impl MirrorClient {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let listen = settings.mirror.as_ref().ok_or(ClientError::Off)?.listen;
        let address = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        Ok(Self {
            address: SocketAddr::new(address, listen.port()),
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Fetches a manifest by tag or digest.
    pub(crate) async fn manifest(
        &self,
        repository: &Repository,
        pointer: &str,
    ) -> Result<Fetched, ClientError> {
        let what = format!("{repository} {pointer}");
        let response = self
            .get(&what, &target(repository, "manifests", pointer))
            .await?;
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.and_then(|value| value.to_str().ok().map(str::to_owned))
        };
        let media_type = header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let said = header("docker-content-digest").unwrap_or_default();
        let bytes = self.whole(&what, response).await?;
        let expected: Option<Digest> = if pointer.contains(':') {
            pointer.parse().ok()
        } else {
            said.parse().ok()
        };
        match expected {
            Some(digest) if Verified::of(&bytes, &digest).is_some() => Ok(Fetched {
                media_type,
                digest,
                bytes,
            }),
            Some(_) | None => Err(failed(&what, "it is not what its digest says")),
        }
    }

    /// Asks for a blob. It comes while it is read.
    pub(crate) async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Coming, ClientError> {
        let what = format!("{repository} {digest}");
        let response = self
            .get(&what, &target(repository, "blobs", digest.as_str()))
            .await?;
        let status = response.headers().get("cache-status");
        let cached = status.is_some_and(|status| status.as_bytes().ends_with(b"hit"));
        Ok(Coming {
            body: response.into_body(),
            cached,
        })
    }

    async fn get(&self, what: &str, target: &str) -> Result<Response<Incoming>, ClientError> {
        let request = Request::get(format!("http://{}{target}", self.address))
            .body(Empty::new())
            .map_err(|error| failed(what, &error.to_string()))?;
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Err(ClientError::NobodyThere(self.address));
            }
            Err(error) => return Err(failed(what, &error.to_string())),
        };
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let body = self.whole(what, response).await?;
        let problem = serde_json::from_slice::<Errors>(&body)
            .ok()
            .and_then(|body| body.errors.into_iter().next());
        Err(match problem {
            Some(problem) if problem.code == "DENIED" => ClientError::Denied(problem.message),
            Some(problem) => failed(what, &problem.message),
            None => failed(what, &format!("the mirror answered with status {status}")),
        })
    }

    async fn whole(&self, what: &str, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), MANIFEST_SIZE_MAX_BYTES);
        match body.collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => Err(failed(what, &error.to_string())),
        }
    }
}

/// The registry in the path where it looks like one there, and as `ns` where it does not.
fn target(repository: &Repository, kind: &str, pointer: &str) -> String {
    let registry = repository.registry().to_string();
    let path = repository.path();
    if registry.contains(['.', ':']) || registry == "localhost" {
        format!("/v2/{registry}/{path}/{kind}/{pointer}")
    } else {
        format!("/v2/{path}/{kind}/{pointer}?ns={registry}")
    }
}

fn failed(what: &str, text: &str) -> ClientError {
    ClientError::Failed {
        what: what.to_owned(),
        text: text.to_owned(),
    }
}

/// The mirror serves none that are larger.
const MANIFEST_SIZE_MAX_BYTES: usize = 4 * 1024 * 1024;
