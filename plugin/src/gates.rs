//! Whether what the engine fetches comes past the other two gates: what it says of itself, what `hosts.toml` says, and, because
//! neither is proof, a canary.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ramgate_policy::Host;
use ramgate_provenance::Canaries;

use crate::engine::{Engine, EngineError};
use crate::hosts_file;

/// Watches whether the gates are in force. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Gates {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    mirror: Option<SocketAddr>,
    egress: Option<SocketAddr>,
    hosts_directory: PathBuf,
    canaries: Canaries,
    /// What was found last, and when.
    found: Mutex<Option<(State, Instant)>>,
}

/// Whether the gates are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// They are, and it is proven.
    InForce,
    /// They are not; what is missing, each as advice to an administrator.
    Open(Vec<String>),
}

// === impl Gates ===

impl Gates {
    /// Our own listeners `mirror` and `egress`, which see `canaries` and which `engine` should use; and the directory of its
    /// `hosts.toml` files.
    #[must_use]
    pub fn new(
        engine: Engine,
        mirror: Option<SocketAddr>,
        egress: Option<SocketAddr>,
        hosts_directory: PathBuf,
        canaries: Canaries,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                engine,
                mirror,
                egress,
                hosts_directory,
                canaries,
                found: Mutex::new(None),
            }),
        }
    }

    /// Whether they are in force now. What was found is remembered for a few seconds.
    pub(crate) async fn state(&self) -> Result<State, EngineError> {
        let found = self.lock().clone();
        if let Some((state, since)) = found
            && since.elapsed() < state.remembered()
        {
            return Ok(state);
        }
        let state = self.find().await?;
        *self.lock() = Some((state.clone(), Instant::now()));
        Ok(state)
    }

    /// Whether `host` is one of our own canaries.
    pub(crate) fn is_canary(&self, host: &Host) -> bool {
        self.inner.canaries.is_released(host)
    }

    /// What keeps them from being in force, each as advice to an administrator; nothing if they are. Nothing remembered is
    /// used: who asks has perhaps just mended it.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn missing(&self) -> Result<Vec<String>, EngineError> {
        self.inner.engine.forget();
        let state = self.find().await?;
        *self.lock() = Some((state.clone(), Instant::now()));
        Ok(match state {
            State::InForce => Vec::new(),
            State::Open(missing) => missing,
        })
    }

    async fn find(&self) -> Result<State, EngineError> {
        let (Some(mirror), Some(egress)) = (self.inner.mirror, self.inner.egress) else {
            let advice = "enable `mirror` and `egress` in ramgate's settings";
            return Ok(State::Open(vec![advice.to_owned()]));
        };
        let mut missing = self.inner.engine.info_now().await?.missing(mirror, egress);
        missing.extend(hosts_file::problems(&self.inner.hosts_directory, mirror));
        if missing.is_empty() && !self.canary_comes_past().await? {
            missing.push("what the daemon fetches does not come past ramgate's proxy, whatever it says of itself".to_owned());
        }
        Ok(if missing.is_empty() {
            State::InForce
        } else {
            State::Open(missing)
        })
    }

    /// Lets the engine fetch from a host that nobody knows but we; whether it came past one of the gates.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn canary_comes_past(&self) -> Result<bool, EngineError> {
        let canary = self.inner.canaries.release();
        // That it fails is what it is for; only whether it was seen counts.
        match self.inner.engine.pull(canary.host()).await {
            Ok(()) | Err(EngineError::Status(_) | EngineError::Timeout) => Ok(canary.was_seen()),
            Err(error @ (EngineError::Unreachable(_) | EngineError::Unreadable)) => Err(error),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(State, Instant)>> {
        self.inner
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    pub(crate) const fn is_in_force(&self) -> bool {
        matches!(self, Self::InForce)
    }

    const fn remembered(&self) -> Duration {
        match self {
            Self::InForce => REMEMBERED,
            Self::Open(_) => OPEN_REMEMBERED,
        }
    }
}

/// What the daemon uses changes with a restart or reload of it, seldom; a canary costs it a request.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Who has just mended what was missing does not wait for that.
const OPEN_REMEMBERED: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::Router;
    use axum::extract::RawQuery;
    use axum::routing::{get, post};
    use tokio::net::UnixListener;

    use super::*;

    const INFO: &str = r#"{"HttpProxy":"http://127.0.0.1:5051","HttpsProxy":"http://127.0.0.1:5051","NoProxy":"",
        "RegistryConfig":{"Mirrors":["http://127.0.0.1:5050/"]},"DriverStatus":null}"#;

    /// An engine that says of itself what it should, and comes past a gate or not.
    fn engine(socket: &Path, honest: bool, canaries: Canaries) -> Engine {
        let pull = move |RawQuery(query): RawQuery| async move {
            let query = query.unwrap_or_default();
            let host = query.trim_start_matches("fromImage=").split('/').next();
            if let Some(host) = host.and_then(|host| host.parse().ok())
                && honest
            {
                assert!(canaries.saw(&host), "{query}");
            }
        };
        let router = Router::new()
            .route("/info", get(|| async { INFO }))
            .route("/images/create", post(pull));
        let listener = UnixListener::bind(socket).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Engine::new(socket)
    }

    async fn state(honest: bool, mirror: u16) -> State {
        let directory = tempfile::tempdir().unwrap();
        let canaries = Canaries::default();
        let engine = engine(
            &directory.path().join("engine.sock"),
            honest,
            canaries.clone(),
        );
        let address = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let hosts = directory.path().join("certs.d");
        let gates = Gates::new(engine, address(mirror), address(5051), hosts, canaries);
        gates.state().await.unwrap()
    }

    #[tokio::test]
    async fn what_the_daemon_says_is_believed_only_with_a_canary() {
        assert_eq!(state(true, 5050).await, State::InForce);
        let State::Open(missing) = state(false, 5050).await else {
            panic!("an engine that goes another way is not gated");
        };
        assert!(missing[0].contains("does not come past"), "{missing:?}");
        let State::Open(missing) = state(true, 6060).await else {
            panic!("an engine with another mirror is not gated");
        };
        assert!(missing[0].contains("registry-mirrors"), "{missing:?}");
    }

    #[tokio::test]
    async fn an_engine_that_does_not_answer_is_an_error() {
        let engine = Engine::new(Path::new("/nonexistent/engine.sock"));
        let address = Some(SocketAddr::from(([127, 0, 0, 1], 5050)));
        let gates = Gates::new(
            engine,
            address,
            address,
            PathBuf::new(),
            Canaries::default(),
        );
        assert!(matches!(
            gates.state().await,
            Err(EngineError::Unreachable(_))
        ));
    }
}
