//! A stand-in for the engine, for what ramgate asks it while it judges: one image, pulled from Docker Hub, and nothing that happens.

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Bytes, Frame};
use tokio::net::UnixListener;

/// Events of which none ever comes.
struct Silence;

impl hyper::body::Body for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// Serves until it is killed.
pub(crate) fn serve(socket: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = UnixListener::bind(socket)?;
        Ok(axum::serve(listener, Router::new().fallback(answer)).await?)
    })
}

async fn answer(uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    match uri.path() {
        "/containers/json" => "[]".into_response(),
        "/events" if query.contains("until=") => "".into_response(),
        "/events" => Body::new(Silence).into_response(),
        "/images/json" => format!("[{}]", image()).into_response(),
        "/info" => "{}".into_response(),
        "/version" => r#"{"ApiVersion":"1.51"}"#.into_response(),
        path if path.starts_with("/images/") => image().into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn image() -> String {
    let id = format!("sha256:{}", "a".repeat(64));
    format!(
        r#"{{"Id":"{id}","RepoTags":["alpine:3.20"],"RepoDigests":["alpine@{id}"],"RootFS":{{"Type":"layers","Layers":["{id}"]}}}}"#
    )
}
