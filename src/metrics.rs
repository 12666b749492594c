//! What monitoring asks: `/metrics` in Prometheus' text format, `/healthz` and `/readyz`.

mod policy;
mod readiness;
mod state;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use ramgate_provenance::Ledger;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::live_policy::LivePolicy;
pub(crate) use policy::PolicyMetrics;
pub(crate) use readiness::{Gate, Readiness};

/// What the endpoint tells.
#[derive(Clone, Debug)]
struct Monitored {
    registry: Arc<Registry>,
    readiness: Readiness,
}

/// What is measured of the program itself. The gates add theirs.
pub(crate) fn registry(policy: &LivePolicy, ledger: &Arc<Ledger>) -> Registry {
    let mut registry = Registry::default();
    let version = ("version", env!("CARGO_PKG_VERSION"));
    registry.register(
        "ramgate_build",
        "Which ramgate this is",
        Info::new([version]),
    );
    policy.metrics().register(&mut registry);
    registry.register_collector(Box::new(state::PolicyMode(policy.current())));
    registry.register_collector(Box::new(state::LedgerSize(Arc::clone(ledger))));
    registry
}

/// Answers at `listener` until `shutdown`.
pub(crate) async fn serve(
    listener: TcpListener,
    registry: Registry,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let monitored = Monitored {
        registry: Arc::new(registry),
        readiness,
    };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(monitored);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

async fn metrics(State(monitored): State<Monitored>) -> Response {
    let mut shown = String::new();
    match text::encode(&mut shown, &monitored.registry) {
        Ok(()) => {
            let content_type = HeaderValue::from_static(OPEN_METRICS);
            ([(header::CONTENT_TYPE, content_type)], shown).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(monitored): State<Monitored>) -> Response {
    match monitored.readiness.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// What `prometheus_client` writes, which Prometheus reads since 2.5.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests;
