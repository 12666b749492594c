//! The signals that a service is told by.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals, waited for from the start: one that nobody waits for ends the process.
#[derive(Debug)]
pub(crate) struct Signals {
    /// SIGHUP: read the policy again.
    pub(crate) hangup: Signal,
    pub(crate) stop: StopSignals,
}

/// The signals that end it.
#[derive(Debug)]
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

// === impl Signals ===

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            stop: StopSignals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
        })
    }
}

// === impl StopSignals ===

impl StopSignals {
    /// The name of the first that comes.
    pub(crate) async fn wait(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
