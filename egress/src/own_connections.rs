//! The gate's own connections, so that one that comes back is known.
//!
//! Where the host's own traffic is captured, the gate's is exempt. If it is not, by a mistake, each connection would lead to
//! another, until nothing is left to make one of.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

/// The near ends of connections that were made a moment ago.
#[derive(Debug, Default)]
pub(crate) struct OwnConnections(Mutex<Moments>);

/// This moment and the one before. What is older goes with its moment, so that noting one costs the same however many there are.
#[derive(Debug, Default)]
struct Moments {
    now: HashSet<SocketAddr>,
    before: HashSet<SocketAddr>,
    since: Option<Instant>,
}

// === impl OwnConnections ===

impl OwnConnections {
    /// Remembers `stream` for a moment at least, and for two at most.
    pub(crate) fn note(&self, stream: &TcpStream) {
        if let Ok(address) = stream.local_addr() {
            self.note_address(address);
        }
    }

    fn note_address(&self, address: SocketAddr) {
        self.current().now.insert(address);
    }

    /// Whether what comes from `address` is one of them. It has said something by now, and so was noted before.
    pub(crate) fn has(&self, address: SocketAddr) -> bool {
        let moments = self.current();
        moments.now.contains(&address) || moments.before.contains(&address)
    }

    fn current(&self) -> MutexGuard<'_, Moments> {
        let mut moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moments.pass(Instant::now());
        moments
    }
}

// === impl Moments ===

impl Moments {
    fn pass(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(*self.since.get_or_insert(now));
        if passed < MOMENT {
            return;
        }
        std::mem::swap(&mut self.now, &mut self.before);
        self.now.clear();
        if passed >= 2 * MOMENT {
            self.before.clear();
        }
        self.since = Some(now);
    }
}

/// For what comes back to be read. Another program's port is not mistaken for ours for longer than two.
const MOMENT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_known_for_a_moment_at_least_and_for_two_at_most() {
        let own = OwnConnections::default();
        let address = "192.0.2.1:40000".parse().unwrap();
        assert!(!own.has(address));
        tokio::time::advance(MOMENT - Duration::from_millis(1)).await;
        own.note_address(address);
        assert!(own.has(address));
        assert!(!own.has("192.0.2.1:40001".parse().unwrap()));
        tokio::time::advance(MOMENT).await;
        assert!(own.has(address));
        tokio::time::advance(MOMENT).await;
        assert!(!own.has(address));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_past_is_forgotten() {
        let own = OwnConnections::default();
        for port in 1..=1_000 {
            own.note_address(SocketAddr::new([192, 0, 2, 1].into(), port));
        }
        tokio::time::advance(2 * MOMENT).await;
        own.note_address("192.0.2.2:1".parse().unwrap());
        let moments = own.current();
        assert_eq!((moments.now.len(), moments.before.len()), (1, 0));
    }
}
