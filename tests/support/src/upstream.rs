//! The stand-ins for what is out there: they end TLS, count and note all that reaches them, and hand on or answer.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;

use crate::authority::Authority;
use crate::image::Image;
use crate::lab::{Lab, lock};
use crate::network::{Network, address};
use crate::registry::Registry;
use crate::token::Realm;

/// A host out there, as seen by the engine; in truth a server in the test's process with its ears in the lab.
#[derive(Clone, Debug)]
pub struct Upstream {
    shared: Arc<Shared>,
    runtime: Handle,
}

/// A request that reached an [`Upstream`], and what it was answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The host it was addressed to.
    pub host: String,
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// The product that sent it, as it says.
    pub user_agent: String,
    /// What it was answered.
    pub status: StatusCode,
}

/// A way for an [`Upstream`] to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers everything with this status.
    Answer(StatusCode),
    /// Sends blobs with their last byte changed.
    CorruptBlobs,
    /// Closes every connection as soon as it is made.
    HangUp,
    /// Keeps what is asked waiting until the fault is another, half a minute at most.
    Stall,
}

/// What a stand-in stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// The last number of its address.
    pub(crate) last: u8,
    pub(crate) names: &'static [&'static str],
    /// Where clients get tokens, if it wants any.
    pub(crate) realm: Option<Realm>,
}

/// What answers behind the counting.
#[derive(Debug)]
pub(crate) enum Behind {
    Files(Mutex<HashMap<String, Bytes>>),
    Registry {
        registry: Registry,
        realm: Option<Realm>,
    },
}

#[derive(Debug)]
struct Shared {
    host: &'static str,
    behind: Behind,
    connections: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    server_names: Mutex<Vec<Option<String>>>,
    fault: Mutex<Option<Fault>>,
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

// === impl Upstream ===

impl Upstream {
    /// Starts to listen on the site's address in `network`.
    pub(crate) fn start(
        site: &Site,
        behind: Behind,
        network: &Network,
        authority: &Authority,
        runtime: &Handle,
    ) -> Result<Self> {
        let address = address(site.last);
        let tls = authority.server(site.names)?;
        let http = network.listen(SocketAddr::new(address, 80))?;
        let https = network.listen(SocketAddr::new(address, 443))?;
        let shared = Arc::new(Shared {
            host: site.names.first().copied().unwrap_or_default(),
            behind,
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            server_names: Mutex::default(),
            fault: Mutex::default(),
        });
        let _inside = runtime.enter(); // tokio's listeners want one
        runtime.spawn(accept(Arc::clone(&shared), listener(http)?, None));
        runtime.spawn(accept(Arc::clone(&shared), listener(https)?, Some(tls)));
        Ok(Self {
            shared,
            runtime: runtime.clone(),
        })
    }

    /// The first of its names.
    pub fn host(&self) -> &str {
        self.shared.host
    }

    /// The TCP connections that were made to this host so far, whatever came of them.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The requests that this host has answered so far, tokens and all.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// The requests so far whose path begins with `path`, as in `/v2/library/alpine/blobs/`.
    pub fn requests_under(&self, path: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.path.starts_with(path));
        requests
    }

    /// The names that TLS has asked this host for so far, whatever came of it.
    pub fn server_names(&self) -> Vec<Option<String>> {
        lock(&self.shared.server_names).clone()
    }

    /// Starts to count from zero.
    pub fn forget(&self) {
        self.shared.connections.store(0, Ordering::SeqCst);
        lock(&self.shared.requests).clear();
        lock(&self.shared.server_names).clear();
    }

    /// Makes this host misbehave, or behave again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *lock(&self.shared.fault) = fault;
    }

    /// Puts a file on this host, as in `/hello.txt`.
    ///
    /// # Errors
    ///
    /// When it is a registry.
    pub fn put_file(&self, path: &str, content: impl Into<Bytes>) -> Result<()> {
        match &self.shared.behind {
            Behind::Files(files) => lock(files).insert(path.to_owned(), content.into()),
            Behind::Registry { .. } => bail!("a registry has no files"),
        };
        Ok(())
    }

    /// Puts an image into this registry, as in `library/alpine`, `3`. This is not counted.
    ///
    /// # Errors
    ///
    /// When it is no registry, or it did not take the image.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        match &self.shared.behind {
            Behind::Files(_) => bail!("only a registry takes images"),
            Behind::Registry { registry, .. } => {
                self.runtime.block_on(registry.push(repository, tag, image))
            }
        }
    }
}

// === impl Request ===

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme,
            host,
            method,
            path,
            user_agent,
            status,
        } = self;
        let status = status.as_u16();
        write!(
            f,
            "{status} {method} {scheme}://{host}{path} ({user_agent})"
        )
    }
}

// === impl Behind ===

impl Behind {
    /// A host that serves one file.
    pub(crate) fn files(content: &'static str) -> Self {
        let file = (Lab::FILE.to_owned(), Bytes::from_static(content.as_bytes()));
        Self::Files(Mutex::new([file].into()))
    }
}

// === impl Shared ===

impl Shared {
    async fn answer(
        &self,
        scheme: &'static str,
        request: http::Request<Incoming>,
    ) -> Result<Answer, Infallible> {
        let mut noted = Request {
            scheme,
            host: text(request.headers(), HOST.as_str()),
            method: request.method().clone(),
            path: request
                .uri()
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            user_agent: text(request.headers(), USER_AGENT.as_str()),
            status: StatusCode::BAD_GATEWAY,
        };
        let answer = match self.respond(request).await {
            Ok(answer) => answer,
            Err(error) => plain(StatusCode::BAD_GATEWAY, format!("{error:#}\n")),
        };
        noted.status = answer.status();
        // Noted before it is sent: who has the answer finds the note.
        lock(&self.requests).push(noted);
        Ok(answer)
    }

    async fn respond(&self, request: http::Request<Incoming>) -> Result<Answer> {
        for _ in 0..STALL_ROUNDS_MAX {
            if *lock(&self.fault) != Some(Fault::Stall) {
                break;
            }
            tokio::time::sleep(STALL_ROUND).await;
        }
        let fault = *lock(&self.fault);
        if let Some(Fault::Answer(status)) = fault {
            return Ok(plain(status, format!("{status}\n")));
        }
        match &self.behind {
            Behind::Files(files) => {
                let file = lock(files).get(request.uri().path()).cloned();
                Ok(match file {
                    Some(content) => plain(StatusCode::OK, content),
                    None => plain(StatusCode::NOT_FOUND, "no such file\n"),
                })
            }
            Behind::Registry { registry, realm } => {
                if request.uri().path() == SEARCH && self.host == DOCKER_HUB_HOST {
                    return Ok(json(StatusCode::OK, &found()));
                }
                if let Some(refusal) = realm.and_then(|realm| admit(realm, &request)) {
                    return Ok(refusal);
                }
                let corrupt = fault == Some(Fault::CorruptBlobs)
                    && request.method() == Method::GET
                    && request.uri().path().contains("/blobs/");
                let answer = forward(registry, request).await?;
                if corrupt {
                    corrupted(answer).await
                } else {
                    Ok(answer)
                }
            }
        }
    }
}

async fn accept(
    shared: Arc<Shared>,
    listener: tokio::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        shared.connections.fetch_add(1, Ordering::SeqCst);
        if *lock(&shared.fault) == Some(Fault::HangUp) {
            continue;
        }
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(shared, "http", stream).await,
                Some(tls) => {
                    let Ok(start) = LazyConfigAcceptor::new(Acceptor::default(), stream).await
                    else {
                        return;
                    };
                    let name = start.client_hello().server_name().map(str::to_owned);
                    lock(&shared.server_names).push(name);
                    if let Ok(stream) = start.into_stream(tls).await {
                        serve(shared, "https", stream).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    shared: Arc<Shared>,
    scheme: &'static str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(scheme, request).await }
    });
    // A client that goes away in the middle is its own affair.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Answers a request for a token, and one that lacks a token. The others pass.
fn admit(realm: Realm, request: &http::Request<Incoming>) -> Option<Answer> {
    let uri = request.uri();
    if uri.path() == "/token" {
        return Some(match *request.method() {
            Method::GET => json(
                StatusCode::OK,
                &Realm::grant(uri.query().unwrap_or_default()),
            ),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
        });
    }
    let challenge = realm.challenge(request.method(), uri.path(), request.headers())?;
    let error = serde_json::json!({ "errors": [
        { "code": "UNAUTHORIZED", "message": "authentication required", "detail": null },
    ] });
    let mut refusal = json(StatusCode::UNAUTHORIZED, &error);
    refusal.headers_mut().insert(
        "docker-distribution-api-version",
        HeaderValue::from_static("registry/2.0"),
    );
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    Some(refusal)
}

/// What Docker Hub's search finds, whatever it is asked for.
fn found() -> serde_json::Value {
    serde_json::json!({ "num_results": 1, "query": "", "results": [
        { "name": "alpine", "description": "", "star_count": 1, "is_official": true, "is_automated": false },
    ] })
}

async fn forward(registry: &Registry, request: http::Request<Incoming>) -> Result<Answer> {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(AUTHORIZATION); // the stand-in has judged it
    let response = registry
        .send(http::Request::from_parts(parts, body))
        .await?;
    Ok(response.map(BodyExt::boxed))
}

async fn corrupted(answer: Answer) -> Result<Answer> {
    let (parts, body) = answer.into_parts();
    let mut content = body.collect().await?.to_bytes().to_vec();
    if let Some(last) = content.last_mut() {
        *last ^= 1;
    }
    Ok(Response::from_parts(parts, full(content)))
}

fn plain(status: StatusCode, content: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain", full(content))
}

fn json(status: StatusCode, content: &serde_json::Value) -> Answer {
    typed(status, "application/json", full(content.to_string()))
}

fn typed(
    status: StatusCode,
    media_type: &'static str,
    body: BoxBody<Bytes, hyper::Error>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

fn full(content: impl Into<Bytes>) -> BoxBody<Bytes, hyper::Error> {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed()
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}

fn listener(listener: TcpListener) -> Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(tokio::net::TcpListener::from_std(listener)?)
}

const STALL_ROUND: Duration = Duration::from_millis(20);
const STALL_ROUNDS_MAX: u32 = 1_500;
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
const SEARCH: &str = "/v1/search";
