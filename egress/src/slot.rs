//! Room for one tunnel or forwarded request.

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::OwnedSemaphorePermit;

/// Room that is taken until dropped, and counted while it is.
#[derive(Debug)]
pub(crate) struct Slot {
    _room: OwnedSemaphorePermit,
    open: Gauge,
}

// === impl Slot ===

impl Slot {
    pub(crate) fn new(room: OwnedSemaphorePermit, open: Gauge) -> Self {
        open.inc();
        Self { _room: room, open }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.dec();
    }
}
