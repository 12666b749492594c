//! Takes administrators' commands: HTTP on a Unix socket in the state directory, which is root's alone.

use std::io;
use std::path::Path;

use anyhow::bail;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use ramgate_mirror::Mirror;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::images;
use crate::ledger::{Ask, Desk, Entry};
use crate::{catalog, unix};

/// Answers at `listener` until `shutdown`.
pub(crate) async fn serve(
    listener: UnixListener,
    desk: Desk,
    mirror: Option<Mirror>,
    catalog: catalog::Desk,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let catalog = Router::new()
        .route(CATALOG, post(answer_of_catalog))
        .layer(DefaultBodyLimit::max(BUNDLE_SIZE_MAX_BYTES))
        .with_state(catalog);
    let router = Router::new()
        .route(LEDGER, post(answer))
        .with_state(desk)
        .merge(catalog)
        .merge(images::router(mirror));
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

/// Asks a running ramgate; `None` if none runs.
pub(crate) async fn ask(socket: &Path, ask: &Ask) -> anyhow::Result<Option<Vec<Entry>>> {
    if tokio::net::UnixStream::connect(socket).await.is_err() {
        return Ok(None);
    }
    let (status, body) = unix::post(socket, LEDGER, serde_json::to_vec(ask)?).await?;
    if status != StatusCode::OK {
        bail!("{}", String::from_utf8_lossy(&body));
    }
    Ok(Some(serde_json::from_slice(&body)?))
}

async fn answer(State(desk): State<Desk>, body: Bytes) -> Response {
    let Ok(ask) = serde_json::from_slice::<Ask>(&body) else {
        let text = "this is not a question of this version of ramgate";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    match desk.answer(&ask).await {
        Ok(entries) => match serde_json::to_vec(&entries) {
            Ok(body) => body.into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        },
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

async fn answer_of_catalog(State(desk): State<catalog::Desk>, body: Bytes) -> Response {
    let Ok(ask) = serde_json::from_slice::<catalog::Ask>(&body) else {
        let text = "this is not a question of this version of ramgate";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    match desk.answer(&ask).await {
        Ok(answer) => match serde_json::to_vec(&answer) {
            Ok(body) => body.into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        },
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

/// Where the catalogue's questions are answered.
pub(crate) const CATALOG: &str = "/catalog";
/// A million namespaces are some fifty.
const BUNDLE_SIZE_MAX_BYTES: usize = 256 * 1024 * 1024;
const LEDGER: &str = "/ledger";
