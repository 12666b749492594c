//! Where closed registries are, learned while the gate runs.

use std::sync::Arc;
use std::time::Duration;

use ramgate_policy::Policy;
use tokio::time::{Instant, sleep};

use super::Egress;

// === impl Egress ===

impl Egress {
    /// Looks up where registries are to which no tunnel is open, by the policy that it gives back.
    pub(crate) async fn learn_closed(&self) -> Arc<Policy> {
        let policy = self.0.policy.load_full();
        let hosts = policy.closed_registries(&self.config().steering);
        let limit = self.config().resolve_timeout;
        self.0.closed.learn(&hosts, &self.0.resolver, limit).await;
        policy
    }

    /// Learns it again every now and then, and when the policy is no longer `policy`.
    pub(crate) async fn keep_learning(&self, mut policy: Arc<Policy>) {
        loop {
            self.stale(&policy).await;
            policy = self.learn_closed().await;
        }
    }

    async fn stale(&self, policy: &Arc<Policy>) {
        let learned = Instant::now();
        while learned.elapsed() < LEARN_AGAIN && Arc::ptr_eq(policy, &self.0.policy.load()) {
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// What large sites' names lead to changes by the minute.
const LEARN_AGAIN: Duration = Duration::from_secs(60);
/// How long a change of the policy may go unseen.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
