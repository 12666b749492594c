//! The bytes of a blob as they come from an upstream, from any byte on; one that breaks off is resumed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use ramgate_policy::{Digest, Permit, Policy};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE};
use reqwest::{Method, Response, StatusCode};

use crate::answer::Unserved;
use crate::mirror::Mirror;
use crate::upstream::{Resource, UpstreamError};

/// The bytes of a blob, from one on.
pub(super) struct Transfer {
    mirror: Mirror,
    permit: Permit,
    policy: Arc<Policy>,
    digest: Digest,
    size: u64,
    /// The byte that comes next.
    at: u64,
    /// What comes before it once more, from an upstream that knows no ranges.
    skip: u64,
    stream: Option<BoxStream<'static, Result<Bytes, reqwest::Error>>>,
    /// How often it broke off since it last came on well.
    broken: u32,
    /// How much has come since it last broke off.
    came: u64,
}

// === impl Transfer ===

impl Transfer {
    /// From the first byte on. Nothing is fetched yet.
    pub(super) fn new(
        mirror: Mirror,
        permit: Permit,
        policy: Arc<Policy>,
        digest: Digest,
        size: u64,
    ) -> Self {
        Self {
            mirror,
            permit,
            policy,
            digest,
            size,
            at: 0,
            skip: 0,
            stream: None,
            broken: 0,
            came: 0,
        }
    }

    /// With an answer that has come already.
    pub(super) fn begun(self, response: Response) -> Self {
        Self {
            stream: Some(response.bytes_stream().boxed()),
            ..self
        }
    }

    /// From byte `at` on.
    pub(super) fn from(self, at: u64) -> Self {
        Self { at, ..self }
    }

    /// The next bytes: what is there already, at least one, and none at the end.
    pub(super) async fn batch(&mut self) -> Result<Vec<Bytes>, Unserved> {
        let Some(first) = self.next().await? else {
            return Ok(Vec::new());
        };
        let mut length = first.len();
        let mut batch = vec![first];
        while length < BATCH_BYTES
            && self.at < self.size
            && let Some(stream) = &mut self.stream
            && let Some(next) = stream.next().now_or_never()
        {
            match next {
                Some(Ok(piece)) => {
                    if let Some(piece) = self.take(piece)? {
                        length += piece.len();
                        batch.push(piece);
                    }
                }
                Some(Err(_)) | None => {
                    self.stream = None;
                }
            }
        }
        Ok(batch)
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Unserved> {
        loop {
            if self.at == self.size {
                return Ok(None);
            }
            let Some(stream) = &mut self.stream else {
                self.resume().await?;
                continue;
            };
            match stream.next().await {
                Some(Ok(piece)) => {
                    if let Some(piece) = self.take(piece)? {
                        return Ok(Some(piece));
                    }
                }
                Some(Err(_)) | None => self.stream = None,
            }
        }
    }

    /// Counts a piece; `None` if it was here before.
    fn take(&mut self, mut piece: Bytes) -> Result<Option<Bytes>, Unserved> {
        let again = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(piece.len());
        let piece = piece.split_off(again);
        self.skip -= again as u64;
        if piece.is_empty() {
            return Ok(None);
        }
        self.at += piece.len() as u64;
        self.mirror.metrics().fetched(piece.len() as u64);
        if self.at > self.size {
            return Err(Unserved::Mismatch);
        }
        self.came += piece.len() as u64;
        if self.came >= PROGRESS_BYTES {
            self.broken = 0;
        }
        Ok(Some(piece))
    }

    /// Asks for what has not come yet.
    async fn resume(&mut self) -> Result<(), Unserved> {
        let resource = match self.at {
            0 => Resource::Blob(&self.digest),
            at => Resource::Rest(&self.digest, at),
        };
        if self.broken > 0 || self.at > 0 {
            tracing::debug!(digest = %self.digest, at = self.at, broken = self.broken, "resuming");
        }
        self.broken += 1;
        self.came = 0;
        if self.broken > 1 {
            let pause = PAUSE.saturating_mul(1 << (self.broken - 2).min(5));
            tokio::time::sleep(pause).await;
        }
        let upstreams = self.mirror.upstreams();
        let fetched = upstreams
            .fetch(&self.permit, &self.policy, Method::GET, resource)
            .await;
        let response = match fetched {
            Ok(response) => response,
            Err(error) if error.is_transient() && self.broken < BROKEN_MAX => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if self.broken > BROKEN_MAX {
            return Err(UpstreamError::Failed(response.status()).into());
        }
        self.skip = if response.status() == StatusCode::PARTIAL_CONTENT {
            if !continues(&response, self.at, self.size) {
                return Err(Unserved::Mismatch);
            }
            0
        } else {
            if length(&response)? != self.size {
                return Err(Unserved::Mismatch);
            }
            self.at
        };
        self.stream = Some(response.bytes_stream().boxed());
        Ok(())
    }
}

/// The size that the upstream announces. All registries do; without it a client could not tell a blob that broke off.
pub(crate) fn length(response: &Response) -> Result<u64, Unserved> {
    let header = response.headers().get(CONTENT_LENGTH);
    let length = header
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    length.ok_or(Unserved::Mismatch)
}

/// Whether a part is the rest of the same blob. That it is of the same bytes, the digest will tell.
fn continues(response: &Response, at: u64, size: u64) -> bool {
    let header = response.headers().get(CONTENT_RANGE);
    let Some(range) = header.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let begins = format!("bytes {at}-");
    let ends = [format!("/{size}"), "/*".to_owned()];
    range.starts_with(&begins) && ends.iter().any(|end| range.ends_with(end))
}

/// Written at once: large enough that a thread's turn costs little, small enough that clients wait little.
const BATCH_BYTES: usize = 256 * 1024;
/// How often in a row an upstream may break off.
const BROKEN_MAX: u32 = 6;
const PAUSE: Duration = Duration::from_millis(100);
/// What an upstream has to bring before it breaks off so that it counts as the first time. How slow it may be is for
/// `upstream/pace.rs` to say.
const PROGRESS_BYTES: u64 = 256 * 1024;
