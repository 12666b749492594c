//! Content that can be read, in part or whole. That it is removed from its place meanwhile does a reader of a directory no harm.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::object::Object;
use super::pieces::{Pieces, Seat};
use crate::lane::{Lane, PART_BYTES};

/// Content that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    source: Source,
    size: u64,
    pieces: Arc<Pieces>,
}

#[derive(Clone, Debug)]
enum Source {
    File(Arc<File>),
    Object(Box<Object>),
}

// === impl Content ===

impl Content {
    pub(crate) const fn file(file: Arc<File>, size: u64, pieces: Arc<Pieces>) -> Self {
        Self {
            source: Source::File(file),
            size,
            pieces,
        }
    }

    pub(super) fn object(object: Object, pieces: Arc<Pieces>) -> Self {
        Self {
            size: object.size(),
            source: Source::Object(Box::new(object)),
            pieces,
        }
    }

    /// For who checks it anyway. What is in a directory is not checked when it is read.
    pub(crate) fn unchecked(self) -> Self {
        match self.source {
            Source::Object(object) => Self::object((*object).unchecked(), self.pieces),
            Source::File(file) => Self::file(file, self.size, self.pieces),
        }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn sit(&self) -> Seat {
        self.pieces.sit()
    }

    /// Reads the whole. For what is small.
    pub(crate) async fn whole(&self) -> io::Result<Vec<u8>> {
        let mut stream = self.clone().stream(0..self.size, None);
        let mut whole = Vec::new();
        while let Some(piece) = stream.try_next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// The bytes in `range`, piece by piece; or what stands in for them, with a lane to send them by.
    pub(crate) fn stream(
        self,
        range: Range<u64>,
        lane: Option<Lane>,
    ) -> BoxStream<'static, io::Result<Bytes>> {
        match self.source {
            Source::File(file) => {
                let seat = self.pieces.sit();
                let state = (file, seat, lane, range);
                futures_util::stream::try_unfold(state, |(file, seat, lane, range)| async move {
                    if range.is_empty() {
                        return Ok(None);
                    }
                    let piece = read(&file, &seat, lane.as_ref(), range.clone()).await?;
                    let next = range.start + piece.len() as u64..range.end;
                    Ok(Some((piece, (file, seat, lane, next))))
                })
                .boxed()
            }
            Source::Object(object) => object.stream(range),
        }
    }

    /// Reads from the beginning of `range` as much as fits one piece.
    pub(crate) async fn read(
        &self,
        seat: &Seat,
        lane: Option<&Lane>,
        range: Range<u64>,
    ) -> io::Result<Bytes> {
        match &self.source {
            Source::File(file) => read(file, seat, lane, range).await,
            Source::Object(object) => {
                let mut pieces = object.clone().stream(range);
                let piece = pieces.try_next().await?;
                piece.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
        }
    }
}

/// What is in the page cache is read at once; only for what is not does a thread that may wait take over.
async fn read(
    file: &Arc<File>,
    seat: &Seat,
    lane: Option<&Lane>,
    range: Range<u64>,
) -> io::Result<Bytes> {
    if let Some(lane) = lane
        && is_cached(file, &range)
    {
        return Ok(lane.line_up(file, &range));
    }
    let wanted = range.end.saturating_sub(range.start);
    let mut piece = seat.piece(wanted);
    let now = {
        let mut room = [IoSliceMut::new(piece.room(wanted))];
        preadv2(file, &mut room, range.start, ReadWriteFlags::NOWAIT)
    };
    let length = match now {
        Ok(length) if length > 0 => length,
        // Not there yet, or a file system that cannot say so; or its end, which only waiting tells from the first.
        Ok(_)
        | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) => {
            let file = Arc::clone(file);
            let read = move || {
                let length = file.read_at(piece.room(wanted), range.start)?;
                Ok::<_, io::Error>((piece, length))
            };
            let (read, length) = tokio::task::spawn_blocking(read)
                .await
                .map_err(io::Error::other)??;
            piece = read;
            length
        }
        Err(error) => return Err(error.into()),
    };
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(piece.bytes(length))
}

/// Whether the first part of `range` is in the page cache, so that to send it waits for no disk. The kernel fills and clears the
/// cache by runs of pages, so one byte of each run speaks for it.
fn is_cached(file: &File, range: &Range<u64>) -> bool {
    let end = range.end.min(range.start + PART_BYTES as u64);
    let last = end.saturating_sub(1);
    let mut places = (range.start..end).step_by(RUN_BYTES).chain([last]);
    places.all(|at| {
        let mut byte = [0];
        let mut room = [IoSliceMut::new(&mut byte)];
        preadv2(file, &mut room, at, ReadWriteFlags::NOWAIT) == Ok(1)
    })
}

/// A half of what Linux reads ahead unless told otherwise.
const RUN_BYTES: usize = 64 * 1024;
