//! What the gate has under way, and its end.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections, tunnels and forwarded requests that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    abandon: CancellationToken,
}

// === impl Tasks ===

impl Tasks {
    /// Runs `work` until it ends or is abandoned.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let abandon = self.abandon.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = abandon.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Waits for everything under way, for `grace` and no longer: then the rest is abandoned.
    pub(crate) async fn finish(&self, grace: Duration) {
        self.tracker.close();
        if timeout(grace, self.tracker.wait()).await.is_err() {
            tracing::info!(
                abandoned = self.tracker.len(),
                "grace has passed, connections are cut"
            );
            self.abandon.cancel();
            self.tracker.wait().await;
        }
    }
}
