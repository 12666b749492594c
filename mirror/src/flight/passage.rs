//! What a client gets past a store that takes nothing in: its own transfer, verified as it passes.

use std::ops::Range;

use axum::body::Bytes;
use futures_util::Stream;
use ramgate_provenance::Verifier;

use super::BrokenOff;
use super::transfer::Transfer;

/// A blob on its way past the store.
pub(super) struct Passage {
    transfer: Transfer,
    verifier: Verifier,
    /// Of the blob, what the client wants and does not have.
    range: Range<u64>,
    /// The byte that comes next.
    at: u64,
    /// INVARIANT(last-byte): what is passed on last waits for the digest.
    held: Option<Bytes>,
    ended: bool,
}

// === impl Passage ===

impl Passage {
    /// `transfer` begins at byte `at`, up to which `verifier` has seen all.
    pub(super) const fn new(
        transfer: Transfer,
        at: u64,
        verifier: Verifier,
        range: Range<u64>,
    ) -> Self {
        Self {
            transfer,
            verifier,
            range,
            at,
            held: None,
            ended: false,
        }
    }

    pub(super) fn stream(self) -> impl Stream<Item = Result<Bytes, BrokenOff>> + Send + 'static {
        futures_util::stream::try_unfold(self, |mut passage| async {
            let piece = passage.next().await?;
            Ok(piece.map(|piece| (piece, passage)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        while !self.ended {
            let piece = self.transfer.next().await.map_err(|error| {
                tracing::warn!(error = %error, "upstream failed");
                BrokenOff
            })?;
            let Some(piece) = piece else {
                self.ended = true;
                self.verifier.verify().ok_or(BrokenOff)?;
                break;
            };
            self.verifier.update(&piece);
            let wanted = self.wanted(&piece);
            if !wanted.is_empty()
                && let Some(before) = self.held.replace(wanted)
            {
                return Ok(Some(before));
            }
        }
        Ok(self.held.take())
    }

    /// The part of the next piece that the client wants.
    fn wanted(&mut self, piece: &Bytes) -> Bytes {
        let from = self.at;
        self.at += piece.len() as u64;
        let within = |position: u64| {
            let offset = position.clamp(from, self.at) - from;
            usize::try_from(offset).unwrap_or(piece.len())
        };
        let (start, end) = (within(self.range.start), within(self.range.end));
        piece.slice(start.min(end)..end)
    }
}
