//! Hands content to the mirror's store: to a running ramgate over its control socket, which is root's alone; without one, to the store
//! itself.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Parts, State};
use axum::http::{HeaderMap, Request, StatusCode, request};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use hyperlocal::{UnixConnector, Uri};
use ramgate_mirror::{IntakeError, Mirror};
use ramgate_policy::{Digest, Repository};
use tokio_util::io::ReaderStream;

use super::plan::Planned;

/// Where content goes.
#[derive(Debug)]
pub(crate) enum Intake {
    /// Through the control socket of a running ramgate.
    Running(PathBuf),
    /// Into the store, which nobody else has open.
    Here(Box<Mirror>),
}

/// Why something was not taken in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The policy does not allow it.
    Denied(String),
    /// Anything else.
    Failed(anyhow::Error),
}

// === impl Intake ===

impl Intake {
    /// Whether the repository has the blob.
    pub(crate) async fn has(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, Refusal> {
        match self {
            Self::Here(mirror) => Ok(mirror.has_blob(repository, digest).await?),
            Self::Running(socket) => {
                let request = Request::get(uri(socket, "blobs", digest, repository));
                let (status, text) = send(request, Body::empty()).await?;
                match status {
                    StatusCode::NOT_FOUND => Ok(false),
                    status => outcome(status, text).map(|()| true),
                }
            }
        }
    }

    /// Takes in a blob from a file that stands at its first byte.
    pub(crate) async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        file: File,
        size: u64,
    ) -> Result<(), Refusal> {
        let file = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), size);
        let body = Body::from_stream(ReaderStream::with_capacity(file, PIECE_BYTES));
        match self {
            Self::Here(mirror) => Ok(mirror.take_in_blob(repository, digest, body).await?),
            Self::Running(socket) => {
                let request = Request::post(uri(socket, "blobs", digest, repository));
                let (status, text) = send(request, body).await?;
                outcome(status, text)
            }
        }
    }

    /// Takes in a manifest, and the tag that points to it.
    pub(crate) async fn manifest(
        &self,
        repository: &Repository,
        manifest: &Planned,
        tag: Option<&str>,
    ) -> Result<(), Refusal> {
        let Planned {
            media_type,
            digest,
            bytes,
        } = manifest;
        match self {
            Self::Here(mirror) => Ok(mirror
                .take_in_manifest(repository, digest, media_type, tag, bytes.clone())
                .await?),
            Self::Running(socket) => {
                let mut request = Request::post(uri(socket, "manifests", digest, repository))
                    .header(TYPE, media_type);
                if let Some(tag) = tag {
                    request = request.header(TAG, tag);
                }
                let (status, text) = send(request, Body::from(bytes.clone())).await?;
                outcome(status, text)
            }
        }
    }
}

// === impl Refusal ===

impl From<IntakeError> for Refusal {
    fn from(error: IntakeError) -> Self {
        if let IntakeError::Denied(denial) = &error {
            return Self::Denied(denial.to_string());
        }
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// What a running ramgate answers such hand-ins with. Without a mirror there is nothing to hand in to.
pub(crate) fn router(mirror: Option<Mirror>) -> Router {
    let Some(mirror) = mirror else {
        return Router::new();
    };
    Router::new()
        .route(
            "/mirror/blobs/{digest}/{*repository}",
            get(has).post(take_blob),
        )
        .route(
            "/mirror/manifests/{digest}/{*repository}",
            post(take_manifest),
        )
        .with_state(mirror)
}

async fn has(State(mirror): State<Mirror>, Parts(named): Parts<(String, String)>) -> Response {
    let Some((digest, repository)) = read(&named) else {
        return unreadable();
    };
    match mirror.has_blob(&repository, &digest).await {
        Ok(true) => StatusCode::OK.into_response(),
        Ok(false) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => refused(&error),
    }
}

async fn take_blob(
    State(mirror): State<Mirror>,
    Parts(named): Parts<(String, String)>,
    body: Body,
) -> Response {
    let Some((digest, repository)) = read(&named) else {
        return unreadable();
    };
    match mirror.take_in_blob(&repository, &digest, body).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refused(&error),
    }
}

async fn take_manifest(
    State(mirror): State<Mirror>,
    Parts(named): Parts<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some((digest, repository)), Some(media_type)) = (read(&named), header(TYPE)) else {
        return unreadable();
    };
    let Ok(bytes) = axum::body::to_bytes(body, MANIFEST_SIZE_MAX_BYTES).await else {
        return unreadable();
    };
    let taken = mirror.take_in_manifest(&repository, &digest, media_type, header(TAG), bytes);
    match taken.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refused(&error),
    }
}

fn read((digest, repository): &(String, String)) -> Option<(Digest, Repository)> {
    Some((digest.parse().ok()?, repository.parse().ok()?))
}

fn unreadable() -> Response {
    let text = "this is nothing that this version of ramgate takes in";
    (StatusCode::BAD_REQUEST, text).into_response()
}

fn refused(error: &IntakeError) -> Response {
    let status = match error {
        IntakeError::Denied(_) => StatusCode::FORBIDDEN,
        IntakeError::Store(_) | IntakeError::Ledger(_) => StatusCode::INTERNAL_SERVER_ERROR,
        IntakeError::Mismatch
        | IntakeError::Manifest(_)
        | IntakeError::Tag(_)
        | IntakeError::BrokenOff => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, error.to_string()).into_response()
}

fn uri(socket: &Path, kind: &str, digest: &Digest, repository: &Repository) -> hyper::Uri {
    Uri::new(socket, &format!("/mirror/{kind}/{digest}/{repository}")).into()
}

async fn send(asked: request::Builder, body: Body) -> anyhow::Result<(StatusCode, String)> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(UnixConnector);
    let response = client
        .request(asked.header("Host", "ramgate").body(body)?)
        .await
        .context("asking the running ramgate")?;
    let status = response.status();
    let text = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

fn outcome(status: StatusCode, text: String) -> Result<(), Refusal> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::FORBIDDEN => Err(Refusal::Denied(text)),
        StatusCode::NOT_FOUND => Err(Refusal::Failed(anyhow::anyhow!(
            "the ramgate that runs has no mirror"
        ))),
        _ => Err(Refusal::Failed(anyhow::Error::msg(text))),
    }
}

const TYPE: &str = "ramgate-media-type";
const TAG: &str = "ramgate-tag";
const PIECE_BYTES: usize = 256 * 1024;
const MANIFEST_SIZE_MAX_BYTES: usize = 4 * 1024 * 1024;
