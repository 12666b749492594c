//! Bytes of one direction.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::activity::Activity;
use crate::buffers::Buffers;

/// A side that bytes come from, and that can say whether any are there before it is given room for them.
pub(crate) trait Source: AsyncRead + Unpin {
    /// Ready when reading is worth a try.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// What a direction is carried with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    pub(crate) buffers: &'a Buffers,
    pub(crate) activity: &'a Activity,
    /// Bytes that went this way, of all tunnels.
    pub(crate) carried: &'a Counter,
}

// === impl Way ===

impl Way<'_> {
    /// Carries bytes from `source` to `sink` until `source` closes its half, and closes it on the other side.
    pub(crate) async fn carry(
        self,
        source: &mut impl Source,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let (buffer, length) = self.read(source).await?;
            if length == 0 {
                self.buffers.give_back(buffer);
                sink.shutdown().await?;
                return Ok(total);
            }
            let written = self
                .write(buffer.get(..length).unwrap_or_default(), sink)
                .await;
            self.buffers.give_back(buffer);
            written?;
            total += u64::try_from(length).unwrap_or(u64::MAX);
        }
    }

    /// Writes `bytes`, noting them.
    pub(crate) async fn write(
        self,
        mut bytes: &[u8],
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = sink.write(bytes).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.activity.note();
            self.carried
                .inc_by(u64::try_from(written).unwrap_or_default());
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// A buffer with what was read at its beginning; none is held while there is nothing to read.
    async fn read(self, source: &mut impl Source) -> io::Result<(Box<[u8]>, usize)> {
        poll_fn(|context| {
            ready!(source.poll_readable(context))?;
            let mut buffer = self.buffers.lend();
            let mut room = ReadBuf::new(&mut buffer);
            match Pin::new(&mut *source).poll_read(context, &mut room) {
                Poll::Ready(read) => {
                    let length = room.filled().len();
                    self.activity.note();
                    Poll::Ready(read.map(|()| (buffer, length)))
                }
                Poll::Pending => {
                    self.buffers.give_back(buffer);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

// === impl Source ===

impl Source for tokio::net::tcp::ReadHalf<'_> {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream: &tokio::net::TcpStream = self.as_ref();
        stream.poll_read_ready(context)
    }
}

/// A stream inside of a connection has its own buffers and cannot be asked.
impl<S: AsyncRead> Source for tokio::io::ReadHalf<S> {
    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
