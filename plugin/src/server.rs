//! Serves the plugin protocol on a Unix socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use axum::routing::post;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::authorizer::Authorizer;
use crate::message::{ACTIVATED, MEDIA_TYPE};

/// What answers. Shared by all calls: what it consists of takes a dozen atomic operations to clone.
#[derive(Debug)]
struct Gate {
    authorizer: Authorizer,
    shutdown: CancellationToken,
}

/// Serves `authorizer` at `listener` until `shutdown`, then lets open requests end.
///
/// A call that dockerd is writing while its connection is closed, it writes again without its body, which is a denial. So before
/// they are closed, connections are used up: each answer is the last on its own.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: UnixListener,
    authorizer: Authorizer,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let gate = Arc::new(Gate {
        authorizer,
        shutdown: shutdown.clone(),
    });
    let router = Router::new()
        .route("/Plugin.Activate", post(activate))
        .route("/AuthZPlugin.AuthZReq", post(authorize))
        .route("/AuthZPlugin.AuthZRes", post(carried_out))
        .with_state(gate);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        })
        .await
}

async fn activate(State(gate): State<Arc<Gate>>) -> Response<Body> {
    gate.authorizer.activated();
    gate.answer(ACTIVATED)
}

/// dockerd sends no `Content-Type`, so the body is taken as it is.
async fn authorize(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    let body: Result<Bytes, _> = to_bytes(request.into_body(), MESSAGE_SIZE_MAX_BYTES).await;
    match body {
        Ok(body) => gate.answer(gate.authorizer.authorize(&body).await.to_json()),
        Err(_) => gate.answer(gate.authorizer.too_large().to_json()),
    }
}

/// It comes after the deed, and undoes nothing. The body is read to its end whatever it is: a connection with a rest in it is
/// closed, and dockerd waits a second before it tries another.
async fn carried_out(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    if let Ok(body) = to_bytes(request.into_body(), MESSAGE_SIZE_MAX_BYTES).await {
        gate.authorizer.carried_out(&body).await;
    }
    gate.answer(Answer::allow().to_json())
}

// === impl Gate ===

impl Gate {
    fn answer(&self, body: impl Into<Body>) -> Response<Body> {
        let mut response = Response::new(body.into());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.shutdown.is_cancelled() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// dockerd keeps two idle connections, and asks several times a second where anything goes on.
const DRAIN: Duration = Duration::from_millis(300);

/// 8 MiB: dockerd hands over bodies of up to 4 MiB (moby `pkg/authorization/authz.go`, `maxBodySize`), which as base64 are
/// 5.4 MiB; the rest is room for headers and certificates.
const MESSAGE_SIZE_MAX_BYTES: usize = 8 * 1024 * 1024;
