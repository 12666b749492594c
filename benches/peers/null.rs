//! The peer of the plugin: it takes each request in, and says yes to it.

use std::path::Path;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use axum::routing::post;
use tokio::net::UnixListener;

/// Serves until it is killed, on a runtime made as `ramgate serve` makes its own.
pub(crate) fn serve(socket: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = UnixListener::bind(socket)?;
        // On a worker, as ramgate's gates are: the main thread only waits.
        let server = tokio::spawn(async move {
            axum::serve(listener, Router::new().route(PATH, post(yes))).await
        });
        Ok(server.await??)
    })
}

async fn yes(request: Request) -> Response<Body> {
    // Without an end to the body there is no next request.
    let _ = to_bytes(request.into_body(), SIZE_MAX_BYTES).await;
    let mut response = Response::new(Body::from(r#"{"Allow":true}"#));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

const PATH: &str = "/AuthZPlugin.AuthZReq";
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";
/// As much as the plugin takes.
const SIZE_MAX_BYTES: usize = 8 * 1024 * 1024;
