//! Serves blobs: from the store, or streamed from the upstream while they are verified and stored.
//!
//! INVARIANT(last-byte): while a blob streams, its last piece is held back until the digest of the whole is known to be
//! right. If it is not, the connection breaks off, so that no client takes a wrong blob for whole.

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;
use ramgate_policy::{Digest, Permit, Policy};
use reqwest::{Method, Response};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use crate::answer::Unserved;
use crate::audit::Source;
use crate::mirror::Mirror;
use crate::origins::CONFIG_SIZE_MAX_BYTES;
use crate::store::Incoming;
use crate::upstream::Resource;

/// A blob: its body, size in bytes, and where it came from.
pub(crate) type Found = (Body, u64, Source);

/// Why a stream breaks off. The client sees only that it does.
#[derive(Debug, thiserror::Error)]
#[error("the blob is not what its digest says, or its upstream broke off")]
struct BrokenOff;

// === impl Mirror ===

impl Mirror {
    /// Finds the blob in the permitted repository; `head` wants no body.
    pub(crate) async fn blob(
        &self,
        permit: &Permit,
        policy: &Policy,
        digest: &Digest,
        head: bool,
    ) -> Result<Found, Unserved> {
        if let Some((file, size)) = self.store().blob(permit, digest).await? {
            let body = if head {
                Body::empty()
            } else {
                self.note_config(permit, digest, size).await?;
                Body::from_stream(ReaderStream::with_capacity(file, PIECE_BYTES))
            };
            return Ok((body, size, Source::Hit));
        }
        let resource = Resource::Blob(digest);
        // The bytes may be here from another repository. That this one has them too, only its registry can say.
        if head || self.store().has_content(digest).await? {
            let response = self
                .upstreams()
                .fetch(permit, policy, Method::HEAD, resource)
                .await?;
            if head {
                return Ok((Body::empty(), length(&response)?, Source::Miss));
            }
            self.store().link_blob(permit, digest).await?;
            if let Some((file, size)) = self.store().blob(permit, digest).await? {
                self.note_config(permit, digest, size).await?;
                return Ok((
                    Body::from_stream(ReaderStream::with_capacity(file, PIECE_BYTES)),
                    size,
                    Source::Hit,
                ));
            }
        }
        let response = self
            .upstreams()
            .fetch(permit, policy, Method::GET, resource)
            .await?;
        let size = length(&response)?;
        let incoming = self.store().begin(digest).await?;
        let (pieces, stream) = mpsc::channel(PIECES_AHEAD);
        let download = Download {
            mirror: self.clone(),
            permit: permit.clone(),
            digest: digest.clone(),
            size,
        };
        // On its own, so that a client that leaves does not stop what the next one will want.
        tokio::spawn(download.run(response, incoming, pieces));
        let stream = futures_util::stream::unfold(stream, |mut stream| async {
            stream.recv().await.map(|piece| (piece, stream))
        });
        Ok((Body::from_stream(stream), size, Source::Miss))
    }

    /// Notes the layers of an image, if a blob that is kept is the config of one. Not only when it is fetched: the bytes may be
    /// another repository's, or older than the ledger.
    async fn note_config(
        &self,
        permit: &Permit,
        digest: &Digest,
        size: u64,
    ) -> Result<(), Unserved> {
        let (repository, origins) = (permit.repository(), self.origins());
        if size > CONFIG_SIZE_MAX_BYTES || !origins.knows_config(repository, digest)? {
            return Ok(());
        }
        if let Some((mut file, _)) = self.store().blob(permit, digest).await? {
            let mut config = Vec::new();
            file.read_to_end(&mut config).await?;
            origins.saw_config(repository, &config).await?;
        }
        Ok(())
    }
}

/// A blob on its way from the upstream to the store and to the client.
struct Download {
    mirror: Mirror,
    permit: Permit,
    digest: Digest,
    size: u64,
}

// === impl Download ===

impl Download {
    async fn run(
        self,
        response: Response,
        incoming: Incoming,
        pieces: mpsc::Sender<Result<Bytes, BrokenOff>>,
    ) {
        match self.receive(response, incoming, &pieces).await {
            Ok(last) => {
                // The client may have left.
                let _ = pieces.send(Ok(last)).await;
            }
            Err(error) => {
                tracing::warn!(error = %error, repository = %self.permit.repository(), digest = %self.digest, "upstream failed");
                let _ = pieces.send(Err(BrokenOff)).await;
            }
        }
    }

    /// Passes on all pieces but the last, which is returned once the whole is verified and kept.
    async fn receive(
        &self,
        response: Response,
        mut incoming: Incoming,
        pieces: &mpsc::Sender<Result<Bytes, BrokenOff>>,
    ) -> Result<Bytes, Unserved> {
        let mut stream = response.bytes_stream();
        let mut held = Bytes::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| {
                crate::upstream::UpstreamError::Unreachable(error.without_url())
            })?;
            if piece.is_empty() {
                continue;
            }
            self.mirror.metrics().fetched(piece.len() as u64);
            incoming.write(&piece).await?;
            if incoming.size() > self.size {
                return Err(Unserved::Mismatch);
            }
            let before = std::mem::replace(&mut held, piece);
            if !before.is_empty() {
                let _ = pieces.send(Ok(before)).await;
            }
        }
        let verified = incoming.verify().ok_or(Unserved::Mismatch)?;
        self.mirror.store().keep(incoming, &verified).await?;
        self.mirror
            .store()
            .link_blob(&self.permit, &self.digest)
            .await?;
        self.mirror
            .note_config(&self.permit, &self.digest, self.size)
            .await?;
        Ok(held)
    }
}

/// The size that the upstream announces. All registries do; without it a client could not tell a blob that broke off.
fn length(response: &Response) -> Result<u64, Unserved> {
    let header = response.headers().get(reqwest::header::CONTENT_LENGTH);
    let length = header
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    length.ok_or(Unserved::Mismatch)
}

/// Large enough that reading costs little per byte (measured: 512 KiB reads are almost twice as fast as 64 KiB ones).
const PIECE_BYTES: usize = 512 * 1024;
/// Pieces that may wait for a slow client before the download waits as well.
const PIECES_AHEAD: usize = 16;
