//! Whether the gates take questions: tried, not remembered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

/// Whether ramgate can be relied on. Cloning it gives the same.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stage: AtomicU8,
    gates: Vec<Gate>,
}

/// Where a gate takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Tcp(&'static str, SocketAddr),
    Unix(&'static str, PathBuf),
}

// === impl Readiness ===

impl Readiness {
    /// Of a ramgate that starts these gates.
    pub(crate) fn starting(gates: Vec<Gate>) -> Self {
        let inner = Inner {
            stage: AtomicU8::new(STARTING),
            gates,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The gates are started, and the policy is loaded: without one, none is.
    pub(crate) fn started(&self) {
        self.inner.stage.store(STARTED, Ordering::Release);
    }

    /// They are being stopped.
    pub(crate) fn stopping(&self) {
        self.inner.stage.store(STOPPING, Ordering::Release);
    }

    /// `Ok` if every gate takes connections; else why not.
    pub(super) async fn check(&self) -> Result<(), String> {
        match self.inner.stage.load(Ordering::Acquire) {
            STARTED => {}
            STARTING => return Err("starting".to_owned()),
            _ => return Err("stopping".to_owned()),
        }
        for gate in &self.inner.gates {
            gate.check().await?;
        }
        Ok(())
    }
}

// === impl Gate ===

impl Gate {
    async fn check(&self) -> Result<(), String> {
        let tried = tokio::time::timeout(PATIENCE, async {
            match self {
                Self::Tcp(_, address) => TcpStream::connect(address).await.map(drop),
                Self::Unix(_, path) => UnixStream::connect(path).await.map(drop),
            }
        });
        let (key, place) = match self {
            Self::Tcp(key, address) => (key, address.to_string()),
            Self::Unix(key, path) => (key, path.display().to_string()),
        };
        match tried.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{key}: nobody answers at {place}: {error}")),
            Err(_) => Err(format!("{key}: nobody answers at {place} in time")),
        }
    }
}

const STARTING: u8 = 0;
const STARTED: u8 = 1;
const STOPPING: u8 = 2;
/// To take a connection is the kernel's work.
const PATIENCE: Duration = Duration::from_secs(1);
