//! Buffers for what is read, as large as the number of streams allows, and used again.
//!
//! Measured: a fresh half MiB costs as much in page faults as reading into it does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;

/// Buffers, and how many streams want some.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    free: Mutex<Vec<Vec<u8>>>,
    streams: AtomicUsize,
}

/// A stream's place among the others.
#[derive(Debug)]
pub(crate) struct Seat {
    pieces: Arc<Pieces>,
}

/// A buffer that goes back when nobody needs what is in it.
#[derive(Debug)]
pub(crate) struct Piece {
    buffer: Vec<u8>,
    pieces: Arc<Pieces>,
}

// === impl Pieces ===

impl Pieces {
    pub(crate) fn sit(self: &Arc<Self>) -> Seat {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Seat {
            pieces: Arc::clone(self),
        }
    }
}

// === impl Seat ===

impl Seat {
    /// A buffer for at most `wanted` bytes.
    pub(crate) fn piece(&self, wanted: u64) -> Piece {
        let streams = self.pieces.streams.load(Ordering::Relaxed).max(1);
        let fair = (BUDGET_BYTES / streams).clamp(PIECE_MIN_BYTES, PIECE_BYTES);
        let size = usize::try_from(wanted).unwrap_or(usize::MAX).min(fair);
        let used = if size > PIECE_BYTES / 2 {
            lock(&self.pieces.free).pop()
        } else {
            None
        };
        let mut buffer = used.unwrap_or_default();
        if size > PIECE_BYTES / 2 {
            buffer.resize(PIECE_BYTES, 0);
        } else {
            buffer.resize(size, 0);
        }
        Piece {
            buffer,
            pieces: Arc::clone(&self.pieces),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pieces.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Piece ===

impl Piece {
    /// Where at most `wanted` bytes go.
    pub(crate) fn room(&mut self, wanted: u64) -> &mut [u8] {
        let end = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        self.buffer.get_mut(..end).unwrap_or_default()
    }

    /// Its first `length` bytes.
    pub(crate) fn bytes(self, length: usize) -> Bytes {
        let length = length.min(self.buffer.len());
        Bytes::from_owner(self).slice(..length)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.buffer.len() < PIECE_BYTES {
            return;
        }
        let mut free = lock(&self.pieces.free);
        if free.len() < FREE_MAX {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

fn lock(free: &Mutex<Vec<Vec<u8>>>) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
    // A list of buffers is right whatever became of who held it.
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Large enough that a read costs little per byte, small enough to stay in a core's cache.
const PIECE_BYTES: usize = 512 * 1024;
const PIECE_MIN_BYTES: usize = 16 * 1024;
/// What the streams hold together, while there are not more than 256: a client that stalls keeps its piece.
const BUDGET_BYTES: usize = 4 * 1024 * 1024;
/// Buffers that wait for the next stream: 4 MiB.
const FREE_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_streams_share_what_one_may_have() {
        let pieces = Arc::new(Pieces::default());
        let first = pieces.sit();
        assert_eq!(first.piece(u64::MAX).room(u64::MAX).len(), PIECE_BYTES);
        assert_eq!(first.piece(100).room(100).len(), 100);
        let room = || first.piece(u64::MAX).room(u64::MAX).len();
        let mut others: Vec<Seat> = (0..99).map(|_| pieces.sit()).collect();
        assert_eq!(room(), BUDGET_BYTES / 100);
        others.extend((0..900).map(|_| pieces.sit()));
        assert_eq!(room(), PIECE_MIN_BYTES);
        drop(others);
        assert_eq!(first.piece(u64::MAX).room(u64::MAX).len(), PIECE_BYTES);
    }

    #[test]
    fn a_buffer_is_used_again_and_only_its_written_part_is_seen() {
        let pieces = Arc::new(Pieces::default());
        let seat = pieces.sit();
        let mut piece = seat.piece(u64::MAX);
        piece.room(3).copy_from_slice(b"abc");
        let bytes = piece.bytes(3);
        assert_eq!(bytes.as_ref(), b"abc");
        assert!(lock(&pieces.free).is_empty());
        drop(bytes);
        assert_eq!(lock(&pieces.free).len(), 1);
        drop(seat.piece(u64::MAX));
        assert_eq!(lock(&pieces.free).len(), 1);
    }
}
