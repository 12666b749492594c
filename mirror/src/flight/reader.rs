//! What a client gets of a flight: what has arrived, at the client's own pace.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use ramgate_policy::{Permit, Policy};
use ramgate_provenance::Verifier;
use tokio::sync::watch;

use super::passage::Passage;
use super::transfer::Transfer;
use super::{BrokenOff, Flight, Progress};
use crate::lane::Lane;
use crate::mirror::Mirror;
use crate::store::{Content, Seat};

/// A client of a flight.
pub(crate) struct Reader {
    mirror: Mirror,
    permit: Permit,
    policy: Arc<Policy>,
    flight: Arc<Flight>,
    changes: watch::Receiver<Progress>,
    seat: Option<Seat>,
    lane: Option<Lane>,
    /// Of the blob, what the client does not have yet.
    left: Range<u64>,
    /// Where the rest comes from, once that is settled.
    rest: Option<BoxStream<'static, Result<Bytes, BrokenOff>>>,
}

// === impl Reader ===

impl Reader {
    /// Reads `range` of the blob, which is not empty. With a lane the bytes are stand-ins.
    pub(crate) fn new(
        mirror: Mirror,
        permit: Permit,
        policy: Arc<Policy>,
        flight: Arc<Flight>,
        range: Range<u64>,
        lane: Option<Lane>,
    ) -> Self {
        let changes = flight.progress.subscribe();
        Self {
            mirror,
            permit,
            policy,
            flight,
            changes,
            seat: None,
            lane,
            left: range,
            rest: None,
        }
    }

    pub(crate) fn stream(self) -> BoxStream<'static, Result<Bytes, BrokenOff>> {
        futures_util::stream::try_unfold(self, |mut reader| async {
            let piece = reader.next().await?;
            Ok(piece.map(|piece| (piece, reader)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        loop {
            if let Some(rest) = &mut self.rest {
                return rest.try_next().await;
            }
            let progress = self.changes.borrow_and_update().clone();
            match progress {
                Progress::Asking => self.change().await?,
                Progress::Arriving { content, arrived } => {
                    match self.arrived(&content, arrived).await? {
                        Some(piece) => return Ok(Some(piece)),
                        None => self.change().await?,
                    }
                }
                Progress::Whole(content) => {
                    self.seat = None;
                    let rest = content.stream(self.left.clone(), self.lane.clone());
                    self.rest = Some(rest.map_err(|error| unreadable(&error)).boxed());
                }
                Progress::Adrift {
                    content,
                    arrived,
                    size,
                    verifier,
                } => {
                    if let Some(content) = content
                        && let Some(piece) = self.arrived(&content, arrived).await?
                    {
                        return Ok(Some(piece));
                    }
                    self.rest = Some(self.pass(arrived, size, *verifier));
                }
                Progress::Refused(_) | Progress::Broken => return Err(BrokenOff),
            }
        }
    }

    /// What has arrived and may be passed on.
    async fn arrived(
        &mut self,
        content: &Content,
        arrived: u64,
    ) -> Result<Option<Bytes>, BrokenOff> {
        // INVARIANT(last-byte): nothing is verified yet.
        let until = arrived.min(self.left.end.saturating_sub(1));
        if until <= self.left.start {
            return Ok(None);
        }
        let seat = self.seat.get_or_insert_with(|| content.sit());
        let piece = content
            .read(seat, self.lane.as_ref(), self.left.start..until)
            .await
            .map_err(|error| unreadable(&error))?;
        self.left.start += piece.len() as u64;
        Ok(Some(piece))
    }

    fn pass(
        &self,
        arrived: u64,
        size: u64,
        verifier: Verifier,
    ) -> BoxStream<'static, Result<Bytes, BrokenOff>> {
        let transfer = Transfer::new(
            self.mirror.clone(),
            self.permit.clone(),
            Arc::clone(&self.policy),
            self.flight.digest.clone(),
            size,
        );
        Passage::new(transfer.from(arrived), arrived, verifier, self.left.clone())
            .stream()
            .boxed()
    }

    async fn change(&mut self) -> Result<(), BrokenOff> {
        self.changes.changed().await.map_err(|_gone| BrokenOff)
    }
}

fn unreadable(error: &std::io::Error) -> BrokenOff {
    tracing::error!(%error, "the store cannot be read");
    BrokenOff
}
