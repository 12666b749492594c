//! Parts of files that the kernel sends to a client, without their coming into this process's memory.
//!
//! hyper takes a body as bytes. What goes through it for a part of a file is a stand-in of the same length, memory that nobody
//! writes or reads, while the part waits in its connection's lane. The connection (`wire.rs`) knows a stand-in by its address and
//! has the kernel send the part instead. Measured: the copies that this saves are half of what a blob costs the processor.
//!
//! INVARIANT(in-order): a connection sends parts in the order in which their stand-ins come to it. If anything else comes while a
//! part waits, the stand-in was copied, and the connection breaks off before it could be sent.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;

/// The parts that one connection has to send. Cloning it gives the same lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    parts: Arc<Mutex<VecDeque<Part>>>,
}

#[derive(Debug)]
struct Part {
    file: Arc<File>,
    at: u64,
    left: usize,
}

// === impl Lane ===

impl Lane {
    /// Lines up the beginning of this part of a file, and gives what stands in for it.
    pub(crate) fn line_up(&self, file: &Arc<File>, range: &Range<u64>) -> Bytes {
        let wanted = range.end.saturating_sub(range.start);
        let length = usize::try_from(wanted).map_or(PART_BYTES, |wanted| wanted.min(PART_BYTES));
        let stand_in = Bytes::from_static(STAND_IN.get(..length).unwrap_or_default());
        if !stand_in.is_empty() {
            self.lock().push_back(Part {
                file: Arc::clone(file),
                at: range.start,
                left: stand_in.len(),
            });
        }
        stand_in
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Sends at most `most` bytes of the first part; how many it were.
    pub(crate) fn send(&self, to: impl AsFd, most: usize) -> io::Result<usize> {
        let mut parts = self.lock();
        let part = parts.front_mut().ok_or_else(astray)?;
        let sent = rustix::fs::sendfile(to, &part.file, Some(&mut part.at), most.min(part.left))?;
        if sent == 0 {
            // The file was cut off.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        part.left = part.left.saturating_sub(sent);
        if part.left == 0 {
            parts.pop_front();
        }
        Ok(sent)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this is, or is a piece of, what stands in for a part.
pub(crate) fn stands_in(bytes: &[u8]) -> bool {
    let start = STAND_IN.as_ptr().addr();
    !bytes.is_empty() && (start..start + STAND_IN.len()).contains(&bytes.as_ptr().addr())
}

/// A part and its stand-in have lost one another.
pub(crate) fn astray() -> io::Error {
    io::Error::other("a part of a file is not sent where it belongs")
}

/// Zeros that the kernel has promised and never had to give: nobody touches them.
static STAND_IN: LazyLock<&'static [u8]> = LazyLock::new(|| vec![0; PART_BYTES].leak());
/// Sent at most before another connection has its turn.
pub(crate) const PART_BYTES: usize = 512 * 1024;
