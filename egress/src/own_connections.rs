//! The gate's own connections, so that one that comes back is known.
//!
//! Where the host's own traffic is captured, the gate's is exempt. If it is not, by a mistake, each connection would lead to
//! another, until nothing is left to make one of.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

/// The near ends of connections that were made a moment ago.
#[derive(Debug, Default)]
pub(crate) struct OwnConnections(Mutex<HashMap<SocketAddr, Instant>>);

// === impl OwnConnections ===

impl OwnConnections {
    /// Remembers `stream` for a moment.
    pub(crate) fn note(&self, stream: &TcpStream) {
        if let Ok(address) = stream.local_addr() {
            self.note_address(address);
        }
    }

    fn note_address(&self, address: SocketAddr) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= SWEEP_AT {
            made.retain(|_, since| since.elapsed() < MOMENT);
        }
        made.insert(address, Instant::now());
    }

    /// Whether what comes from `address` is one of them. It has said something by now, and so was noted before.
    pub(crate) fn has(&self, address: SocketAddr) -> bool {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(&address)
            .is_some_and(|since| since.elapsed() < MOMENT)
    }
}

/// For what comes back to be read. Another program's port is not mistaken for ours for longer.
const MOMENT: Duration = Duration::from_secs(2);
/// As many as a busy host makes in a moment.
const SWEEP_AT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_known_for_a_moment() {
        let own = OwnConnections::default();
        let address = "192.0.2.1:40000".parse().unwrap();
        assert!(!own.has(address));
        own.note_address(address);
        assert!(own.has(address));
        assert!(!own.has("192.0.2.1:40001".parse().unwrap()));
        tokio::time::advance(MOMENT).await;
        assert!(!own.has(address));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_past_is_forgotten() {
        let own = OwnConnections::default();
        for port in 1..=u16::try_from(SWEEP_AT).unwrap() {
            own.note_address(SocketAddr::new([192, 0, 2, 1].into(), port));
        }
        tokio::time::advance(MOMENT).await;
        own.note_address("192.0.2.2:1".parse().unwrap());
        assert_eq!(own.0.lock().unwrap().len(), 1);
    }
}
