//! An upstream behind a link of a known speed, which all its connections share.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

/// A registry that has one blob, whatever it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    blob: Vec<u8>,
    bytes_per_second: f64,
    /// When the link is free again.
    free: Mutex<Instant>,
    sent: AtomicU64,
}

// === impl Link ===

impl Link {
    pub(crate) fn start(blob: Vec<u8>, bytes_per_second: f64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            blob,
            bytes_per_second,
            free: Mutex::new(Instant::now()),
            sent: AtomicU64::new(0),
        });
        let all = Arc::clone(&shared);
        // Until the benchmark ends.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&all);
                std::thread::spawn(move || shared.answer(stream));
            }
        });
        Ok(Self { address, shared })
    }

    /// The bytes of blobs that were sent since the last time.
    pub(crate) fn take_sent(&self) -> u64 {
        self.shared.sent.swap(0, Ordering::SeqCst)
    }
}

// === impl Shared ===

impl Shared {
    /// One request on each connection; a client that leaves is its own affair.
    fn answer(&self, mut stream: TcpStream) -> Result<()> {
        let mut head = BufReader::new(stream.try_clone()?).lines();
        let line = head.next().transpose()?.unwrap_or_default();
        for line in head {
            if line?.is_empty() {
                break;
            }
        }
        // That it is a registry.
        let is_base = line.starts_with("GET /v2/ ");
        let blob = if is_base { &[] } else { self.blob.as_slice() };
        let length = blob.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes())?;
        if line.starts_with("HEAD") {
            return Ok(());
        }
        for piece in blob.chunks(PIECE_BYTES) {
            self.wait_for_link(piece.len());
            stream.write_all(piece)?;
            self.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    fn wait_for_link(&self, bytes: usize) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let until = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            // What was not used cannot be caught up, but for the little that a sleep is late.
            *free = (*free).max(Instant::now() - SLACK) + takes;
            *free
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

const PIECE_BYTES: usize = 64 * 1024;
const SLACK: Duration = Duration::from_millis(20);
