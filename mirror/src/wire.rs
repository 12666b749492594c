//! A client's connection, which sends parts of files as well as bytes; see `lane.rs`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::lane::{Lane, astray, stands_in};

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    lane: Lane,
}

// === impl Wire ===

impl Wire {
    pub(crate) const fn new(stream: TcpStream, lane: Lane) -> Self {
        Self { stream, lane }
    }

    fn poll_send(&self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let send = || self.lane.send(&self.stream, most);
            match self.stream.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    // hyper copies into one buffer for this, and it is told not to.
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.lane.is_empty() || stands_in(bytes) {
            return Poll::Ready(Err(astray()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let plain = slices.iter().take_while(|slice| !stands_in(slice));
        let plain = slices.get(..plain.count()).unwrap_or_default();
        match slices.get(plain.len()) {
            Some(stand_in) if plain.iter().all(|slice| slice.is_empty()) => {
                self.poll_send(context, stand_in.len())
            }
            None if !self.lane.is_empty() => Poll::Ready(Err(astray())),
            Some(_) | None => Pin::new(&mut self.stream).poll_write_vectored(context, plain),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.lane.is_empty() {
            return Poll::Ready(Err(astray()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::future::poll_fn;
    use std::sync::Arc;

    use axum::body::Bytes;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Wire, Lane, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        let lane = Lane::default();
        (
            Wire::new(server.unwrap().0, lane.clone()),
            lane,
            client.unwrap(),
        )
    }

    fn file(bytes: &[u8]) -> Arc<File> {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), bytes).unwrap();
        Arc::new(File::open(path.path()).unwrap())
    }

    async fn write(wire: &mut Wire, slices: &[&[u8]]) -> io::Result<()> {
        let mut rest: Vec<&[u8]> = slices.to_vec();
        while rest.iter().any(|slice| !slice.is_empty()) {
            let slices: Vec<IoSlice<'_>> = rest.iter().map(|slice| IoSlice::new(slice)).collect();
            let write =
                poll_fn(|context| Pin::new(&mut *wire).poll_write_vectored(context, &slices));
            let mut written = write.await?;
            for slice in &mut rest {
                let taken = written.min(slice.len());
                *slice = &slice[taken..];
                written -= taken;
            }
        }
        poll_fn(|context| Pin::new(&mut *wire).poll_flush(context)).await
    }

    #[tokio::test]
    async fn bytes_and_parts_of_files_come_in_order() {
        let (mut wire, lane, mut client) = pair().await;
        let file = file(b"0123456789");
        let (first, second) = (lane.line_up(&file, &(2..5)), lane.line_up(&file, &(7..9)));
        write(&mut wire, &[b"<", &first, b"", b"|", &second, b">"])
            .await
            .unwrap();
        let third = lane.line_up(&file, &(0..1));
        write(&mut wire, &[&third]).await.unwrap();
        drop(wire);
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "<234|78>0");
    }

    #[tokio::test]
    async fn a_slow_client_gets_all_of_it() {
        let (mut wire, lane, mut client) = pair().await;
        let bytes: Vec<u8> = (0..=250).cycle().take(40_000_000).collect();
        let file = file(&bytes);
        let size = bytes.len() as u64;
        let sending = tokio::spawn(async move {
            let mut at = 0;
            while at < size {
                let stand_in = lane.line_up(&file, &(at..size));
                at += stand_in.len() as u64;
                write(&mut wire, &[&stand_in]).await.unwrap();
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got == bytes);
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn a_stand_in_that_was_copied_breaks_the_connection_off() {
        let (mut wire, lane, mut client) = pair().await;
        let copy = lane.line_up(&file(b"0123456789"), &(0..4)).to_vec();
        assert!(write(&mut wire, &[&copy]).await.is_err());
        let plain = poll_fn(|context| Pin::new(&mut wire).poll_write(context, &copy));
        assert!(plain.await.is_err());
        let flush = poll_fn(|context| Pin::new(&mut wire).poll_flush(context));
        assert!(flush.await.is_err());
        drop(wire);
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"");
    }

    #[tokio::test]
    async fn a_stand_in_without_a_part_and_a_file_that_is_cut_off_break_it_off_too() {
        let (mut wire, lane, _client) = pair().await;
        let stand_in: Bytes = lane.line_up(&file(b"0123"), &(0..4));
        write(&mut wire, &[&stand_in]).await.unwrap();
        assert!(write(&mut wire, &[&stand_in]).await.is_err());
        let beyond = lane.line_up(&file(b"0123"), &(4..8));
        assert!(write(&mut wire, &[&beyond]).await.is_err());
    }
}
