//! Room for bytes on their way, lent while they are.
//!
//! Thousands of tunnels are open at a time and few of them move anything, so a tunnel has no buffer of its own.

use std::sync::{Arc, Mutex, PoisonError};

/// Buffers of one size, for any number of tunnels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

// === impl Buffers ===

impl Buffers {
    /// A buffer, of those that came back or a new one.
    pub(crate) fn lend(&self) -> Box<[u8]> {
        let kept = self.lock().pop();
        kept.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
    }

    /// Keeps `buffer` for the next, unless enough are kept.
    pub(crate) fn give_back(&self, buffer: Box<[u8]>) {
        let mut kept = self.lock();
        if kept.len() < KEPT_MAX {
            kept.push(buffer);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        // A panic while a vector is pushed to leaves a vector.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Four TLS records of the largest size (RFC 8446, section 5.2).
const BUFFER_BYTES: usize = 64 * 1024;
/// 4 MiB, which a burst leaves behind.
const KEPT_MAX: usize = 64;
