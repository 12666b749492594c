//! The peer of the plugin: it takes each request in, reads the message as any plugin must, and says yes to it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::post;
use serde::Deserialize;
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

/// What a plugin must read of a message to know what is asked.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'a> {
    #[serde(borrow)]
    request_method: Cow<'a, str>,
    #[serde(borrow)]
    request_uri: Cow<'a, str>,
    #[serde(default)]
    request_headers: HashMap<String, String>,
}

async fn yes(request: Request) -> Response<Body> {
    // Without an end to the body there is no next request.
    let body = to_bytes(request.into_body(), SIZE_MAX_BYTES).await;
    let mut response = Response::new(Body::from(r#"{"Allow":true}"#));
    let message = body.ok().and_then(|body| {
        let message = serde_json::from_slice::<Message<'_>>(&body).ok()?;
        // As little as a plugin can do with it.
        Some(
            message.request_method.len()
                + message.request_uri.len()
                + message.request_headers.len(),
        )
    });
    if message.is_none() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

const PATH: &str = "/AuthZPlugin.AuthZReq";
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";
/// As much as the plugin takes.
const SIZE_MAX_BYTES: usize = 8 * 1024 * 1024;
