//! Whether the policy's file is taken.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How reading the policy's file anew went.
#[derive(Clone, Debug)]
pub(crate) struct PolicyMetrics {
    reloads: Family<ResultLabel, Counter>,
    in_force: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

// === impl PolicyMetrics ===

impl PolicyMetrics {
    /// The file was read anew. Whether it was taken.
    pub(crate) fn reloaded(&self, taken: bool) {
        let result = if taken { OK } else { FAILED };
        self.reloads.get_or_create(&ResultLabel { result }).inc();
        self.in_force.set(i64::from(taken));
    }

    /// Adds it to `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "ramgate_policy_reloads",
            "Times that the policy's file was read anew",
            self.reloads.clone(),
        );
        registry.register(
            "ramgate_policy_file_in_force",
            "Whether the policy in force is what its file says; 0 while the file is invalid and the last good one stays",
            self.in_force.clone(),
        );
    }
}

impl Default for PolicyMetrics {
    /// Of a policy that was just loaded.
    fn default() -> Self {
        let reloads = Family::<ResultLabel, Counter>::default();
        for result in [OK, FAILED] {
            drop(reloads.get_or_create(&ResultLabel { result }));
        }
        let in_force = Gauge::default();
        in_force.set(1);
        Self { reloads, in_force }
    }
}

const OK: &str = "ok";
const FAILED: &str = "failed";
