//! The far side of a tunnel.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Result;

/// A server in this process, until the benchmark ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
}

// === impl Target ===

impl Target {
    /// Sends a byte back, and waits for the end.
    pub(super) fn echo() -> Result<Self> {
        Self::start(32, |mut stream| {
            let mut byte = [0];
            if stream.read(&mut byte).is_ok_and(|length| length == 1) {
                let _ = stream.write_all(&byte);
                let _ = stream.read(&mut byte);
            }
        })
    }

    /// Sends `length` bytes to who asks for them by one.
    pub(super) fn source(length: u64) -> Result<Self> {
        Self::start(64, move |mut stream| {
            let mut byte = [0];
            let piece = vec![0x5a; PIECE_BYTES];
            let mut left = length;
            if stream.read(&mut byte).is_ok_and(|length| length == 1) {
                while left > 0 {
                    let part =
                        usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
                    if stream
                        .write_all(piece.get(..part).unwrap_or_default())
                        .is_err()
                    {
                        return;
                    }
                    left -= part as u64;
                }
            }
        })
    }

    /// Keeps every connection until the other side closes it.
    pub(super) fn holder() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            let mut held: Vec<TcpStream> = Vec::new();
            for stream in listener.incoming().flatten() {
                let _ = stream.set_nonblocking(true);
                held.push(stream);
                if held.len().is_multiple_of(1_000) {
                    // Those that ended.
                    held.retain(|stream| !matches!(stream.peek(&mut [0]), Ok(0)));
                }
            }
        });
        Ok(Self { address })
    }

    fn start(threads: usize, serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        for _ in 0..threads {
            let (listener, serve) = (listener.try_clone()?, serve.clone());
            std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
        }
        Ok(Self { address })
    }
}

const PIECE_BYTES: usize = 256 * 1024;
