//! Asks a server on a Unix socket: another ramgate, or the engine.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use hyperlocal::{UnixConnector, Uri};

/// Posts `body` to `path` at `socket`, and reads the whole answer.
///
/// # Errors
/// When nobody answers.
pub(crate) async fn post(
    socket: &Path,
    path: &str,
    body: Vec<u8>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    send(socket, Method::POST, path, body).await
}

/// Gets `path` at `socket`, and reads the whole answer.
///
/// # Errors
/// When nobody answers.
pub(crate) async fn get(socket: &Path, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    send(socket, Method::GET, path, Vec::new()).await
}

async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let asking = || format!("asking {}", socket.display());
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(UnixConnector);
    let uri: hyper::Uri = Uri::new(socket, path).into();
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("Host", "ramgate")
        .body(Full::from(body))?;
    let answer = async {
        let response = client.request(request).await.with_context(asking)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_SIZE_MAX_BYTES);
        match body.collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) => anyhow::bail!("{}: {error}", asking()),
        }
    };
    tokio::time::timeout(PATIENCE, answer)
        .await
        .with_context(|| format!("{}: no answer within {PATIENCE:?}", asking()))?
}

/// dockerd waits some 15 s for a plugin that is gone, before it says so.
const PATIENCE: Duration = Duration::from_secs(30);
/// A host may have thousands of images, each with less than a KiB in a list.
const ANSWER_SIZE_MAX_BYTES: usize = 64 * 1024 * 1024;
