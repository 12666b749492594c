//! What only the engine knows: what an image is, what a container was made from, what happened, and which mirror and proxy it
//! uses.
//!
//! Our own questions are reads, which come back to this plugin and pass, so they cannot wait for themselves. Each has its own
//! short deadline: an engine that does not answer leads to a denial, not to a hang.

mod container;
mod event;
mod image;
mod info;
mod plugin;
mod service;
mod version;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use hyperlocal::{UnixConnector, Uri};
use serde::de::DeserializeOwned;
use thiserror::Error;

pub(crate) use container::{Container, ImageMount, ListedContainer};
pub(crate) use event::{Event, Events, Happening};
pub(crate) use image::{Image, ListedImage};
pub(crate) use info::Info;
use plugin::Plugin;
use service::Service;
use version::Version;

/// The engine, through its API socket, and what it should be using.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    socket: PathBuf,
    client: Client<UnixConnector, Empty<Bytes>>,
    /// What the engine said of itself, and when.
    info: Mutex<Option<(Arc<Info>, Instant)>>,
    /// Whether it speaks HTTP/2, and when that was asked.
    http2: Mutex<Option<(bool, Instant)>>,
}

/// Why the engine could not say.
#[derive(Clone, Debug, Error)]
pub enum EngineError {
    /// Not reached, or broken off.
    #[error("the engine cannot be asked: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("the engine did not answer in time")]
    Timeout,
    /// It answered with something else.
    #[error("the engine answered with status {0}")]
    Status(StatusCode),
    /// It answered nonsense.
    #[error("the engine's answer cannot be read")]
    Unreadable,
}

// === impl Engine ===

impl Engine {
    /// The engine at `socket`. Nothing is asked yet: the engine need not be there.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(UnixConnector);
        let inner = Inner {
            socket: socket.to_owned(),
            client,
            info: Mutex::new(None),
            http2: Mutex::new(None),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The image that the engine takes `name` for; `None` if it has none.
    pub(crate) async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        self.ask(&format!("/images/{}/json", escaped(name))).await
    }

    /// Every image that the engine has, those without a name too.
    pub(crate) async fn images(&self) -> Result<Vec<ListedImage>, EngineError> {
        let images: Option<Vec<ListedImage>> = self.ask("/images/json?all=1").await?;
        images.ok_or(EngineError::Unreadable)
    }

    /// The container; `None` if there is none.
    pub(crate) async fn container(&self, name: &str) -> Result<Option<Container>, EngineError> {
        self.ask(&format!("/containers/{}/json", escaped(name)))
            .await
    }

    /// The containers that run, or are paused.
    pub(crate) async fn running(&self) -> Result<Vec<ListedContainer>, EngineError> {
        let running: Option<Vec<ListedContainer>> = self.ask("/containers/json").await?;
        running.ok_or(EngineError::Unreadable)
    }

    /// All containers, those that do not run too.
    pub(crate) async fn containers(&self) -> Result<Vec<ListedContainer>, EngineError> {
        let all: Option<Vec<ListedContainer>> = self.ask("/containers/json?all=1").await?;
        all.ok_or(EngineError::Unreadable)
    }

    /// The image that a service ran before its last update; `None` if there is none.
    pub(crate) async fn previous_image(
        &self,
        service: &str,
    ) -> Result<Option<String>, EngineError> {
        let service: Option<Service> = self.ask(&format!("/services/{}", escaped(service))).await?;
        Ok(service.and_then(Service::previous_image))
    }

    /// What a managed plugin was fetched from, or made as; `None` if there is none by this name or ID.
    pub(crate) async fn plugin_reference(
        &self,
        plugin: &str,
    ) -> Result<Option<String>, EngineError> {
        let plugin: Option<Plugin> = self
            .ask(&format!("/plugins/{}/json", escaped(plugin)))
            .await?;
        Ok(plugin.map(Plugin::reference))
    }

    /// Whether the daemon speaks HTTP/2 on its socket; remembered for a few seconds, since it is asked at each pull, and no longer
    /// than the daemon runs: see [`Self::forget`].
    pub(crate) async fn speaks_http2(&self) -> Result<bool, EngineError> {
        if let Some((known, asked)) = *lock(&self.inner.http2)
            && asked.elapsed() < INFO_REMEMBERED
        {
            return Ok(known);
        }
        let asked = Instant::now();
        let version: Version = self.ask("/version").await?.ok_or(EngineError::Unreadable)?;
        let known = version.speaks_http2().ok_or(EngineError::Unreadable)?;
        *lock(&self.inner.http2) = Some((known, asked));
        Ok(known)
    }

    /// Forgets what the daemon said of itself: it may be another one.
    pub(crate) fn forget(&self) {
        *lock(&self.inner.info) = None;
        *lock(&self.inner.http2) = None;
    }

    /// What the engine says of itself; remembered for a few seconds.
    pub(crate) async fn info(&self) -> Result<Arc<Info>, EngineError> {
        let known = lock(&self.inner.info).clone();
        if let Some((info, asked)) = known
            && asked.elapsed() < INFO_REMEMBERED
        {
            return Ok(info);
        }
        self.info_now().await
    }

    /// What the engine says of itself at this moment.
    pub(crate) async fn info_now(&self) -> Result<Arc<Info>, EngineError> {
        let info: Info = self.ask("/info").await?.ok_or(EngineError::Unreadable)?;
        let info = Arc::new(info);
        *lock(&self.inner.info) = Some((Arc::clone(&info), Instant::now()));
        Ok(info)
    }

    /// Asks the engine to pull from a registry, to its end, whatever that is.
    pub(crate) async fn pull(&self, registry: &str) -> Result<(), EngineError> {
        let path = format!(
            "/images/create?fromImage={}/canary&tag=1",
            escaped(registry)
        );
        let pulled = tokio::time::timeout(DEADLINE, async {
            let response = self.send("POST", &path).await?;
            let body = Limited::new(response.into_body(), ANSWER_SIZE_MAX_BYTES);
            // The end of it, or that it breaks off, is all the same.
            let _ = body.collect().await;
            Ok(())
        });
        pulled.await.map_err(|_| EngineError::Timeout)?
    }

    /// The events of the engine: those since a time, in nanoseconds since 1970, up to
    /// `until`, or from then on without end.
    pub(crate) async fn events(
        &self,
        since: Option<u64>,
        until: Option<u64>,
    ) -> Result<Events, EngineError> {
        // All kinds, those that do not matter here too: the last one that was seen is how it is told later that none was missed,
        // and the engine remembers only the last 256 of all.
        let mut path = "/events?filters=%7B%7D".to_owned();
        for (key, time) in [("since", since), ("until", until)] {
            if let Some(time) = time {
                let (seconds, nanoseconds) = (time / NANOSECONDS, time % NANOSECONDS);
                // Writing to a string does not fail.
                let _ = write!(path, "&{key}={seconds}.{nanoseconds:09}");
            }
        }
        let response = tokio::time::timeout(DEADLINE, self.send("GET", &path))
            .await
            .map_err(|_| EngineError::Timeout)??;
        match response.status() {
            StatusCode::OK => Ok(Events::new(response.into_body())),
            status => Err(EngineError::Status(status)),
        }
    }

    /// Stops a container that must not run, as `docker stop` would.
    pub(crate) async fn stop(&self, container: &str) -> Result<(), EngineError> {
        let path = format!("/containers/{}/stop?t=0", escaped(container));
        let response = tokio::time::timeout(STOP_DEADLINE, self.send("POST", &path))
            .await
            .map_err(|_| EngineError::Timeout)??;
        match response.status() {
            // Stopped already, or gone, is as good.
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::NOT_FOUND => Ok(()),
            status => Err(EngineError::Status(status)),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, EngineError> {
        let answer = tokio::time::timeout(DEADLINE, self.fetch(path));
        let Some(body) = answer.await.map_err(|_| EngineError::Timeout)?? else {
            return Ok(None);
        };
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|_| EngineError::Unreadable)
    }

    async fn fetch(&self, path: &str) -> Result<Option<Bytes>, EngineError> {
        let response = self.send("GET", path).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(EngineError::Status(status)),
        }
        let body = Limited::new(response.into_body(), ANSWER_SIZE_MAX_BYTES)
            .collect()
            .await;
        body.map(|body| Some(body.to_bytes()))
            .map_err(|error| EngineError::Unreachable(error.to_string()))
    }

    async fn send(&self, method: &str, path: &str) -> Result<Response<Incoming>, EngineError> {
        let unreachable =
            |error: &dyn std::error::Error| EngineError::Unreachable(error.to_string());
        let uri: hyper::Uri = Uri::new(&self.inner.socket, path).into();
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("Host", "ramgate")
            .body(Empty::new())
            .map_err(|error| unreachable(&error))?;
        self.inner
            .client
            .request(request)
            .await
            .map_err(|error| unreachable(&error))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a name from being read as anything but one path or value: what is not plain is escaped.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@".contains(&byte);
    name.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// Well below the plugin's own deadline.
const DEADLINE: Duration = Duration::from_secs(2);
/// The engine kills at once, and then waits for the container's end.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// What the daemon is like changes with a restart or reload of it, seldom.
const INFO_REMEMBERED: Duration = Duration::from_secs(5);
/// An image takes some KiB in `docker image inspect`, and less than one in a list; a host may have thousands.
const ANSWER_SIZE_MAX_BYTES: usize = 32 * 1024 * 1024;
const NANOSECONDS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_version_is_asked_once_for_as_long_as_the_engine_runs() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        // Another engine each time.
        let answer = move || async move {
            match counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => r#"{"ApiVersion":"1.51"}"#,
                _ => r#"{"ApiVersion":"1.53"}"#,
            }
        };
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let engine = Engine::new(&socket);
        assert!(!engine.speaks_http2().await.unwrap());
        assert!(!engine.speaks_http2().await.unwrap());
        engine.forget();
        assert!(engine.speaks_http2().await.unwrap());
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(
            escaped("ghcr.io/acme/app:1@sha256:a"),
            "ghcr.io/acme/app:1@sha256:a"
        );
        assert_eq!(escaped("a?b#c%2F d&"), "a%3Fb%23c%252F%20d%26");
    }
}
