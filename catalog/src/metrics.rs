//! What the catalogue counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What the catalogue counts. Cloning it gives the same counters.
#[derive(Clone, Debug)]
pub struct Metrics {
    lookups: Family<Lookup, Counter>,
    requests: Family<Request, Counter>,
    request_time: Histogram,
    entries: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lookup {
    /// `memory`, `disk`, `stale`, `asked` or `unknown`.
    from: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    /// `verified publisher`, …, `none`, or the code of a doubt.
    outcome: &'static str,
}

// === impl Metrics ===

impl Metrics {
    /// Adds the counters to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "ramgate_catalog_lookups",
            "Namespaces that a decision wanted, by where the answer came from",
            self.lookups.clone(),
        );
        registry.register(
            "ramgate_catalog_requests",
            "Questions put to Docker Hub, by outcome",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "ramgate_catalog_request",
            "Time that Docker Hub took to answer",
            Unit::Seconds,
            self.request_time.clone(),
        );
        registry.register(
            "ramgate_catalog_entries",
            "Namespaces that are known",
            self.entries.clone(),
        );
    }

    pub(crate) fn looked_up(&self, from: &'static str) {
        self.lookups.get_or_create(&Lookup { from }).inc();
    }

    pub(crate) fn requested(&self, outcome: &'static str, seconds: f64) {
        self.requests.get_or_create(&Request { outcome }).inc();
        self.request_time.observe(seconds);
    }

    pub(crate) fn holds(&self, entries: u64) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            lookups: Family::default(),
            requests: Family::default(),
            request_time: Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
            entries: Gauge::default(),
        }
    }
}
