//! Takes administrators' commands: HTTP on a Unix socket in the state directory, which is root's alone.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use ramgate_mirror::Mirror;
use ramgate_plugin::Gates;
use ramgate_policy::Policy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::images;
use crate::ledger::{Ask, Desk, Entry};
use crate::live_policy::{LivePolicy, Standing};
use crate::{catalog, unix};

/// Who answers administrators.
#[derive(Clone, Debug)]
pub(crate) struct Office {
    desk: Desk,
    catalog: catalog::Desk,
    gates: Gates,
    policy: Arc<ArcSwap<Policy>>,
    standing: Arc<Mutex<Standing>>,
    since: jiff::Timestamp,
}

/// What a running ramgate says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vitals {
    /// Its version.
    pub(crate) version: String,
    /// Its process.
    pub(crate) pid: u32,
    /// When it started.
    pub(crate) since: jiff::Timestamp,
    /// Whether the policy in force denies, or only says that it would.
    pub(crate) enforces: bool,
    /// How it stands with the policy in force.
    pub(crate) policy: Standing,
}

/// What came of a canary: see [`Gates::canary_comes_past`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CanaryFlight {
    /// Whether it came past one of the gates.
    pub(crate) seen: bool,
    /// What keeps the gates from being in force.
    pub(crate) missing: Vec<String>,
}

// === impl Office ===

impl Office {
    /// `desk` answers for the ledger, `catalog` for what Docker Hub says, `gates` for what comes past them.
    pub(crate) fn new(
        desk: Desk,
        catalog: catalog::Desk,
        gates: Gates,
        policy: &LivePolicy,
    ) -> Self {
        Self {
            desk,
            catalog,
            gates,
            policy: policy.current(),
            standing: policy.standing(),
            since: jiff::Timestamp::now(),
        }
    }

    fn vitals(&self) -> Vitals {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        Vitals {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since,
            enforces: !self.policy.load().is_audit(),
            policy: standing.clone(),
        }
    }
}

/// Answers at `listener` until `shutdown`.
pub(crate) async fn serve(
    listener: UnixListener,
    office: Office,
    mirror: Option<Mirror>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let catalog = Router::new()
        .route(CATALOG, post(answer_of_catalog))
        .layer(DefaultBodyLimit::max(BUNDLE_SIZE_MAX_BYTES));
    let router = Router::new()
        .route(LEDGER, post(ledger))
        .route(VITALS, post(vitals))
        .route(CANARY, post(canary))
        .merge(catalog)
        .with_state(office)
        .merge(images::router(mirror));
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

/// Asks a running ramgate of its ledger; `None` if none runs.
pub(crate) async fn ask(socket: &Path, ask: &Ask) -> anyhow::Result<Option<Vec<Entry>>> {
    post_to(socket, LEDGER, serde_json::to_vec(ask)?).await
}

/// Asks a running ramgate how it is; `None` if none runs.
pub(crate) async fn ask_vitals(socket: &Path) -> anyhow::Result<Option<Vitals>> {
    post_to(socket, VITALS, Vec::new()).await
}

/// Lets a running ramgate release a canary; `None` if none runs.
pub(crate) async fn release_canary(socket: &Path) -> anyhow::Result<Option<CanaryFlight>> {
    post_to(socket, CANARY, Vec::new()).await
}

async fn post_to<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: Vec<u8>,
) -> anyhow::Result<Option<T>> {
    if tokio::net::UnixStream::connect(socket).await.is_err() {
        return Ok(None);
    }
    let (status, body) = unix::post(socket, path, body).await?;
    if status != StatusCode::OK {
        bail!("{}", String::from_utf8_lossy(&body));
    }
    Ok(Some(serde_json::from_slice(&body)?))
}

async fn ledger(State(office): State<Office>, body: Bytes) -> Response {
    let Ok(ask) = serde_json::from_slice::<Ask>(&body) else {
        let text = "this is not a question of this version of ramgate";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    match office.desk.answer(&ask).await {
        Ok(entries) => json(&entries),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

async fn answer_of_catalog(State(office): State<Office>, body: Bytes) -> Response {
    let Ok(ask) = serde_json::from_slice::<catalog::Ask>(&body) else {
        let text = "this is not a question of this version of ramgate";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    match office.catalog.answer(&ask).await {
        Ok(answer) => json(&answer),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

async fn vitals(State(office): State<Office>) -> Response {
    json(&office.vitals())
}

async fn canary(State(office): State<Office>) -> Response {
    let flight = async {
        let gates = &office.gates;
        Ok::<_, ramgate_plugin::EngineError>(CanaryFlight {
            // An engine that is busy may not come to the first one in time.
            seen: gates.canary_comes_past().await? || gates.canary_comes_past().await?,
            missing: gates.missing().await?,
        })
    };
    match flight.await {
        Ok(flight) => json(&flight),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

/// Where the catalogue's questions are answered.
pub(crate) const CATALOG: &str = "/catalog";
/// A million namespaces are some fifty.
const BUNDLE_SIZE_MAX_BYTES: usize = 256 * 1024 * 1024;
fn json(answer: &impl Serialize) -> Response {
    match serde_json::to_vec(answer) {
        Ok(body) => body.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

const LEDGER: &str = "/ledger";
const VITALS: &str = "/vitals";
const CANARY: &str = "/canary";
