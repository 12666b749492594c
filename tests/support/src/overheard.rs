//! Places where nobody should come, and who did.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use tokio::runtime::Handle;

/// A place that takes connections, closes them and counts.
#[derive(Clone, Debug)]
pub struct Overheard {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

// === impl Overheard ===

impl Overheard {
    pub(crate) fn start(listener: TcpListener, runtime: &Handle) -> Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let _inside = runtime.enter(); // tokio's listeners want one
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        runtime.spawn(async move {
            while let Ok(visitor) = listener.accept().await {
                // Counted before it is closed: who finds it closed finds the count.
                counted.fetch_add(1, Ordering::SeqCst);
                drop(visitor);
            }
        });
        Ok(Self {
            address,
            connections,
        })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Starts to count from zero.
    pub fn forget(&self) {
        self.connections.store(0, Ordering::SeqCst);
    }
}
