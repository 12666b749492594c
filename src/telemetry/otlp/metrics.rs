//! How sending decisions to the collector goes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of decisions, by what they are sent as.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    sent: Family<Sent, Counter>,
    dropped: Family<Dropped, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    signal: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    signal: &'static str,
    reason: &'static str,
}

// === impl Metrics ===

impl Metrics {
    /// With a nought for whatever may be counted, so that a first one is seen as a step.
    pub(super) fn of(signals: &[&'static str]) -> Self {
        let metrics = Self::default();
        for signal in signals {
            metrics.sent(signal, 0);
            for reason in REASONS {
                metrics.dropped(signal, reason, 0);
            }
        }
        metrics
    }

    pub(super) fn sent(&self, signal: &'static str, count: u64) {
        self.sent.get_or_create(&Sent { signal }).inc_by(count);
    }

    pub(super) fn dropped(&self, signal: &'static str, reason: &'static str, count: u64) {
        let label = Dropped { signal, reason };
        self.dropped.get_or_create(&label).inc_by(count);
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "ramgate_otlp_sent",
            "Decisions that the collector has taken",
            self.sent.clone(),
        );
        registry.register(
            "ramgate_otlp_dropped",
            "Decisions that the collector was not told of",
            self.dropped.clone(),
        );
    }
}

/// They came faster than they were taken.
pub(super) const FULL: &str = "full";
/// The collector could not be reached, or was not up to it, for as long as it is tried.
pub(super) const UNREACHABLE: &str = "unreachable";
/// The collector does not want them.
pub(super) const REFUSED: &str = "refused";
const REASONS: [&str; 3] = [FULL, UNREACHABLE, REFUSED];
