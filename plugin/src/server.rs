//! Serves the plugin protocol on a Unix socket.

use std::io;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use axum::routing::post;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::authorizer::Authorizer;
use crate::message::{ACTIVATED, MEDIA_TYPE};

/// Serves `authorizer` at `listener` until `shutdown`, then lets open requests end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: UnixListener,
    authorizer: Authorizer,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .route("/Plugin.Activate", post(|| async { answer(ACTIVATED) }))
        .route("/AuthZPlugin.AuthZReq", post(authorize))
        .route("/AuthZPlugin.AuthZRes", post(carried_out))
        .with_state(authorizer);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

/// dockerd sends no `Content-Type`, so the body is taken as it is.
async fn authorize(State(authorizer): State<Authorizer>, request: Request) -> Response<Body> {
    let body: Result<Bytes, _> = to_bytes(request.into_body(), MESSAGE_SIZE_MAX_BYTES).await;
    match body {
        Ok(body) => answer(authorizer.authorize(&body).await.to_json()),
        Err(_) => answer(Authorizer::too_large().to_json()),
    }
}

/// It comes after the deed, and undoes nothing. The body is read to its end whatever it is: a connection with a rest in it is
/// closed, and dockerd waits a second before it tries another.
async fn carried_out(State(authorizer): State<Authorizer>, request: Request) -> Response<Body> {
    if let Ok(body) = to_bytes(request.into_body(), MESSAGE_SIZE_MAX_BYTES).await {
        authorizer.carried_out(&body).await;
    }
    answer(Answer::allow().to_json())
}

fn answer(body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// 8 MiB: dockerd hands over bodies of up to 4 MiB (moby `pkg/authorization/authz.go`, `maxBodySize`), which as base64 are
/// 5.4 MiB; the rest is room for headers and certificates.
const MESSAGE_SIZE_MAX_BYTES: usize = 8 * 1024 * 1024;
