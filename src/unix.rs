//! Asks a server on a Unix socket: another ramgate.

use std::path::Path;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
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
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(UnixConnector);
    let uri: hyper::Uri = Uri::new(socket, path).into();
    let request = Request::post(uri)
        .header("Host", "ramgate")
        .body(Full::from(body))?;
    let response = client
        .request(request)
        .await
        .with_context(|| format!("asking {}", socket.display()))?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
