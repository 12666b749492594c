//! Serves blobs, whole or in part: from the store, or from what is arriving of them.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::TryStreamExt as _;
use ramgate_policy::{Digest, Permit, Policy};
use reqwest::Method;

use crate::answer::Unserved;
use crate::audit::Source;
use crate::flight::{Flight, Reader, length};
use crate::lane::Lane;
use crate::mirror::Mirror;
use crate::origins::CONFIG_SIZE_MAX_BYTES;
use crate::range::Wanted;
use crate::store::Content;
use crate::upstream::Resource;

/// A blob, or a part of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) body: Body,
    /// Of the whole blob.
    pub(crate) size_bytes: u64,
    /// What of it is in the body; `None` for all of it.
    pub(crate) part: Option<Range<u64>>,
    pub(crate) source: Source,
}

// === impl Mirror ===

impl Mirror {
    /// Finds the blob in the permitted repository; `head` wants no body, `range` is the header of that name, and `lane` is where the
    /// client's connection sends parts of files from.
    pub(crate) async fn blob(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        digest: &Digest,
        head: bool,
        range: Option<&str>,
        lane: Option<&Lane>,
    ) -> Result<Found, Unserved> {
        // A store that fails makes the mirror slow and not wrong: the upstream has it all.
        let kept = self.seen(self.store().blob(permit, digest).await).flatten();
        if let Some(content) = kept {
            if head {
                return Ok(Found::head(content.size(), Source::Hit));
            }
            self.note_config(permit, digest, &content).await?;
            return found(content, range, lane);
        }
        if head {
            return self.blob_head(permit, policy, digest).await;
        }
        let flight = self.flight(permit, policy, digest).await?;
        let size = flight.begun().await.map_err(Unserved::Shared)?;
        self.board_for(permit, policy, flight, size, range, lane)
            .await
    }

    async fn blob_head(
        &self,
        permit: &Permit,
        policy: &Policy,
        digest: &Digest,
    ) -> Result<Found, Unserved> {
        if let Some(flight) = self.flights().find(digest)
            && flight.serves(permit.repository())
        {
            let size = flight.begun().await.map_err(Unserved::Shared)?;
            return Ok(Found::head(size, Source::Miss));
        }
        let upstreams = self.upstreams();
        let response = upstreams
            .fetch(permit, policy, Method::HEAD, Resource::Blob(digest))
            .await?;
        Ok(Found::head(length(&response)?, Source::Miss))
    }

    /// A flight that brings the blob for the permitted repository.
    async fn flight(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        digest: &Digest,
    ) -> Result<Arc<Flight>, Unserved> {
        let repository = permit.repository();
        loop {
            let flight = self.board(permit, policy, digest);
            if flight.is_led_by(repository) {
                return Ok(flight);
            }
            // Another repository's. What its registry refuses, this one's may have: then that flight is over soon.
            if flight.begun().await.is_err() {
                tokio::task::yield_now().await;
                continue;
            }
            if !flight.serves(repository) {
                // INVARIANT(linked): that this repository has the blob, only its registry can say.
                let linked = self.seen(self.store().has_link(permit, digest).await);
                if linked != Some(true) {
                    let upstreams = self.upstreams();
                    upstreams
                        .fetch(permit, policy, Method::HEAD, Resource::Blob(digest))
                        .await?;
                    self.noted(self.store().link_blob(permit, digest).await);
                }
                flight.confirm(repository);
            }
            return Ok(flight);
        }
    }

    /// What a client gets of a flight.
    async fn board_for(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        flight: Arc<Flight>,
        size: u64,
        range: Option<&str>,
        lane: Option<&Lane>,
    ) -> Result<Found, Unserved> {
        let (part, bytes) = part(range, size)?;
        let digest = flight.digest().clone();
        let read = |range: Range<u64>, flight, lane| {
            let policy = Arc::clone(policy);
            Reader::new(self.clone(), permit.clone(), policy, flight, range, lane).stream()
        };
        let body = if size == 0 {
            // There is no last byte to hold back.
            if !flight.is_rightly_empty().await {
                return Err(Unserved::Mismatch);
            }
            Body::empty()
        } else if size <= CONFIG_SIZE_MAX_BYTES
            && self.origins().knows(permit.repository(), &digest)?
        {
            // Noted before it is served, so it is waited for.
            let pieces: Vec<Bytes> = read(0..size, flight, None)
                .try_collect()
                .await
                .map_err(|_broken| Unserved::Mismatch)?;
            let config = Bytes::from(pieces.concat());
            self.origins()
                .saw_config(permit.repository(), &config)
                .await?;
            Body::from(slice(&config, &bytes))
        } else {
            Body::from_stream(read(bytes, flight, lane.cloned()))
        };
        Ok(Found {
            body,
            size_bytes: size,
            part,
            source: Source::Miss,
        })
    }

    /// Notes the layers of an image, if a blob that is kept is the config of one. Not only when it is fetched: the bytes may be
    /// another repository's, or older than the ledger.
    async fn note_config(
        &self,
        permit: &Permit,
        digest: &Digest,
        content: &Content,
    ) -> Result<(), Unserved> {
        let (repository, origins) = (permit.repository(), self.origins());
        if content.size() > CONFIG_SIZE_MAX_BYTES || !origins.knows(repository, digest)? {
            return Ok(());
        }
        let config = content.whole().await?;
        origins.saw_config(repository, &config).await?;
        Ok(())
    }

    /// What the store says. That it fails is logged, and no reason to refuse what the upstream has.
    pub(crate) fn seen<T>(&self, result: io::Result<T>) -> Option<T> {
        result
            .inspect_err(|error| tracing::error!(%error, "the store cannot be read"))
            .ok()
    }

    /// Whether the store took it.
    pub(crate) fn noted(&self, result: io::Result<()>) -> bool {
        result
            .inspect_err(|error| tracing::error!(%error, "the store cannot be written"))
            .is_ok()
    }
}

// === impl Found ===

impl Found {
    fn head(size_bytes: u64, source: Source) -> Self {
        Self {
            body: Body::empty(),
            size_bytes,
            part: None,
            source,
        }
    }
}

fn found(content: Content, range: Option<&str>, lane: Option<&Lane>) -> Result<Found, Unserved> {
    let size = content.size();
    let (part, bytes) = part(range, size)?;
    let stream = content.stream(bytes, lane.cloned()).inspect_err(|error| {
        tracing::error!(%error, "the store cannot be read");
    });
    Ok(Found {
        body: Body::from_stream(stream),
        size_bytes: size,
        part,
        source: Source::Hit,
    })
}

/// The part that is asked for, if it is not the whole, and its bytes.
fn part(range: Option<&str>, size: u64) -> Result<(Option<Range<u64>>, Range<u64>), Unserved> {
    match Wanted::of(range, size) {
        Wanted::Whole => Ok((None, 0..size)),
        Wanted::Part(part) => Ok((Some(part.clone()), part)),
        Wanted::Nothing => Err(Unserved::Range { size_bytes: size }),
    }
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |position: u64| {
        usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(bytes.len())
    };
    bytes.slice(at(range.start)..at(range.end))
}
