//! The beginning of a captured connection.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::client_hello::{InvalidHello, Opening};

/// What a connection began with, and what was read to know that.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) opening: Result<Opening, InvalidHello>,
    pub(crate) early: Vec<u8>,
}

// === impl Begun ===

impl Begun {
    /// Reads as much as it takes; `None` if the client closes before that.
    pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut early = Vec::new();
        loop {
            early.reserve(STEP_BYTES);
            if stream.read_buf(&mut early).await? == 0 {
                return Ok(None);
            }
            if let Some(opening) = Opening::read(&early).transpose() {
                return Ok(Some(Self { opening, early }));
            }
        }
    }
}

/// A ClientHello has 300 bytes to 2 KiB.
const STEP_BYTES: usize = 2048;
