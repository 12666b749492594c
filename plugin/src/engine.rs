//! What only the engine knows: what an image ID names, what a container was made from, and which mirror and proxy it uses.
//!
//! Our own questions are reads, which come back to this plugin and pass, so they cannot wait for themselves. Each has its own
//! short deadline: an engine that does not answer leads to a denial, not to a hang.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use hyperlocal::{UnixConnector, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The engine, through its API socket, and what it should be using.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    socket: PathBuf,
    mirror: Option<SocketAddr>,
    egress: Option<SocketAddr>,
    client: Client<UnixConnector, Empty<Bytes>>,
    /// Whether the gates were in force, and when that was asked.
    gates: Mutex<Option<(bool, Instant)>>,
}

/// Why the engine could not say.
#[derive(Debug, Error)]
pub(crate) enum EngineError {
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

/// An image as the engine knows it; `GET /images/{name}/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Image {
    /// `sha256:…`.
    pub(crate) id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    config: ContainerConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    previous_spec: Option<ServiceSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceSpec {
    task_template: TaskTemplate,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskTemplate {
    container_spec: Option<ContainerConfig>,
}

/// The part of `GET /info` that says what the daemon fetches through.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Info {
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    registry_config: Option<RegistryConfig>,
}

/// The part of `GET /version` that says how new the engine is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    api_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RegistryConfig {
    mirrors: Option<Vec<String>>,
}

// === impl Engine ===

impl Engine {
    /// The engine at `socket`, which should use `mirror` and `egress`, our own listeners. Nothing is asked yet: the engine
    /// need not be there.
    #[must_use]
    pub fn new(socket: &Path, mirror: Option<SocketAddr>, egress: Option<SocketAddr>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(UnixConnector);
        let inner = Inner {
            socket: socket.to_owned(),
            mirror,
            egress,
            client,
            gates: Mutex::new(None),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The image that the engine takes `name` for; `None` if it has none.
    pub(crate) async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        self.ask(&format!("/images/{}/json", escaped(name))).await
    }

    /// The text that names the image which a container was made from; `None` if there is no such container.
    pub(crate) async fn container_image(&self, name: &str) -> Result<Option<String>, EngineError> {
        let container: Option<Container> = self
            .ask(&format!("/containers/{}/json", escaped(name)))
            .await?;
        Ok(container.map(|container| container.config.image))
    }

    /// The image that a service ran before its last update; `None` if there is none.
    pub(crate) async fn previous_image(
        &self,
        service: &str,
    ) -> Result<Option<String>, EngineError> {
        let service: Option<Service> = self.ask(&format!("/services/{}", escaped(service))).await?;
        let spec = service.and_then(|service| service.previous_spec);
        Ok(spec
            .and_then(|spec| spec.task_template.container_spec)
            .map(|container| container.image))
    }

    /// Whether the daemon speaks HTTP/2 on its socket: since 29.2, whose API is 1.53. That of 29.0 is counted in.
    pub(crate) async fn speaks_http2(&self) -> Result<bool, EngineError> {
        let version: Version = self.ask("/version").await?.ok_or(EngineError::Unreadable)?;
        version.speaks_http2().ok_or(EngineError::Unreadable)
    }

    /// Whether the daemon uses our mirror and our proxy, by what it says of itself.
    pub(crate) async fn gates_in_force(&self) -> Result<bool, EngineError> {
        let known = *self
            .inner
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((in_force, asked)) = known
            && asked.elapsed() < GATES_REMEMBERED
        {
            return Ok(in_force);
        }
        let info: Info = self.ask("/info").await?.ok_or(EngineError::Unreadable)?;
        let in_force = info.uses(self.inner.mirror, self.inner.egress);
        *self
            .inner
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((in_force, Instant::now()));
        Ok(in_force)
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
        let unreachable =
            |error: &dyn std::error::Error| EngineError::Unreachable(error.to_string());
        let uri: hyper::Uri = Uri::new(&self.inner.socket, path).into();
        let request = Request::get(uri)
            .header("Host", "ramgate")
            .body(Empty::new())
            .map_err(|error| unreachable(&error))?;
        let response = self
            .inner
            .client
            .request(request)
            .await
            .map_err(|error| unreachable(&error))?;
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
}

// === impl Version ===

impl Version {
    fn speaks_http2(&self) -> Option<bool> {
        let (major, minor) = self.api_version.split_once('.')?;
        let version: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        Some(version >= (1, 52))
    }
}

// === impl Image ===

impl Image {
    /// Whether the engine found it by its ID, or by the start of it, rather than by a name.
    pub(crate) fn was_named_by_id(&self, text: &str) -> bool {
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        self.id
            .strip_prefix("sha256:")
            .unwrap_or(&self.id)
            .starts_with(bare)
    }

    /// The names that it goes by, which may be none.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let all = self
            .repo_tags
            .iter()
            .chain(&self.repo_digests)
            .flatten()
            .map(String::as_str);
        all.filter(|name| !name.starts_with("<none>"))
    }
}

// === impl Info ===

impl Info {
    fn uses(&self, mirror: Option<SocketAddr>, egress: Option<SocketAddr>) -> bool {
        let (Some(mirror), Some(egress)) = (mirror, egress) else {
            return false;
        };
        let is = |url: &str, address: SocketAddr| {
            let authority = url.strip_prefix("http://").unwrap_or(url);
            authority.strip_suffix('/').unwrap_or(authority) == address.to_string()
        };
        let mirrors = self
            .registry_config
            .iter()
            .flat_map(|config| &config.mirrors)
            .flatten();
        let mut mirrors = mirrors.peekable();
        let mirrored = mirrors.peek().is_some() && mirrors.all(|url| is(url, mirror));
        let proxied = is(&self.http_proxy, egress) && is(&self.https_proxy, egress);
        let excepted = self
            .no_proxy
            .split([',', ' '])
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        mirrored && proxied && excepted.into_iter().all(is_this_host)
    }
}

/// What `no-proxy` may name: Go never proxies loopback anyway.
fn is_this_host(entry: &str) -> bool {
    let address = entry
        .split('/')
        .next()
        .unwrap_or_default()
        .parse::<std::net::IpAddr>();
    let wide = matches!(entry.split_once('/'), Some((_, bits)) if !matches!(bits, "8" | "16" | "24" | "32" | "128"));
    entry == "localhost" || (address.is_ok_and(|address| address.is_loopback()) && !wide)
}

/// Keeps a name from being read as anything but one path: what is not plain is escaped.
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
/// What the daemon uses changes with a restart or reload of it, seldom.
const GATES_REMEMBERED: Duration = Duration::from_secs(10);
/// `docker inspect` of a container is some ten KiB.
const ANSWER_SIZE_MAX_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn info(mirrors: &[&str], proxy: &str, no_proxy: &str) -> Info {
        let mirrors = Some(mirrors.iter().map(ToString::to_string).collect());
        Info {
            http_proxy: proxy.to_owned(),
            https_proxy: proxy.to_owned(),
            no_proxy: no_proxy.to_owned(),
            registry_config: Some(RegistryConfig { mirrors }),
        }
    }

    #[track_caller]
    fn check(info: &Info, expected: bool) {
        let address = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(info.uses(address(5050), address(5051)), expected);
        assert!(!info.uses(None, address(5051)));
        assert!(!info.uses(address(5050), None));
    }

    #[test]
    fn the_gates_are_in_force_if_the_daemon_uses_both_and_nothing_beside_them() {
        let (mirror, proxy) = ("http://127.0.0.1:5050/", "http://127.0.0.1:5051");
        check(&info(&[mirror], proxy, ""), true);
        check(&info(&[mirror], proxy, "localhost,127.0.0.0/8, ::1"), true);
        check(&info(&[mirror], "127.0.0.1:5051", ""), true);
        check(&info(&[], proxy, ""), false);
        check(&info(&[mirror, "https://other.example/"], proxy, ""), false);
        check(&info(&[mirror], "", ""), false);
        check(&info(&[mirror], "http://127.0.0.1:3128", ""), false);
        check(&info(&[mirror], proxy, "ghcr.io"), false);
        check(&info(&[mirror], proxy, "*"), false);
        check(&info(&[mirror], proxy, "127.0.0.1/0"), false);
        check(&Info::default(), false);
    }

    #[test]
    fn an_image_is_named_by_its_id_or_by_a_name() {
        let image: Image = serde_json::from_str(
            r#"{"Id":"sha256:deadbeef00","RepoTags":["a:1","<none>:<none>"],"RepoDigests":null}"#,
        )
        .unwrap();
        assert!(image.was_named_by_id("dead"));
        assert!(image.was_named_by_id("sha256:deadbeef"));
        assert!(!image.was_named_by_id("beef"));
        assert_eq!(image.names().collect::<Vec<_>>(), ["a:1"]);
    }

    #[test]
    fn engines_since_29_are_taken_to_speak_http2() {
        let of = |version: &str| {
            let api_version = version.to_owned();
            Version { api_version }.speaks_http2()
        };
        assert_eq!(of("1.41"), Some(false));
        assert_eq!(of("1.51"), Some(false));
        assert_eq!(of("1.52"), Some(true));
        assert_eq!(of("1.156"), Some(true));
        assert_eq!(of("2.0"), Some(true));
        assert_eq!(of(""), None);
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(
            escaped("ghcr.io/acme/app:1@sha256:a"),
            "ghcr.io/acme/app:1@sha256:a"
        );
        assert_eq!(escaped("a?b#c%2F d"), "a%3Fb%23c%252F%20d");
    }
}
