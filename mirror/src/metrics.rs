//! What the mirror counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::audit::Source;

/// What the mirror counts. Cloning it is cheap and gives the same counters.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<Served, Counter>,
    denials: Family<Denied, Counter>,
    served: Counter,
    fetched: Counter,
    in_flight: Gauge,
    upstream: Family<Outcome, Histogram, fn() -> Histogram>,
    rate_limit: Family<Limited, Gauge>,
    rate_remaining: Family<Limited, Gauge>,
    open: Arc<AtomicU64>,
}

/// What was asked for, where it came from, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    kind: &'static str,
    cache: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Denied {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// A registry that has told its rate limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limited {
    registry: String,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    metrics: Metrics,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            denials: Family::default(),
            served: Counter::default(),
            fetched: Counter::default(),
            in_flight: Gauge::default(),
            upstream: Family::new_with_constructor(latencies),
            rate_limit: Family::default(),
            rate_remaining: Family::default(),
            open: Arc::default(),
        }
    }
}

impl Metrics {
    /// Registers all of it, under names that begin with `ramgate_mirror_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ramgate_mirror");
        registry.register(
            "requests",
            "Requests by what was asked for, where it came from and the class of the answer",
            self.requests.clone(),
        );
        registry.register("denials", "Refusals by reason", self.denials.clone());
        registry.register_with_unit(
            "served",
            "What clients got of manifests and blobs; less what was fetched, it is what the mirror saved",
            Unit::Bytes,
            self.served.clone(),
        );
        registry.register_with_unit(
            "fetched",
            "What upstreams sent of manifests and blobs",
            Unit::Bytes,
            self.fetched.clone(),
        );
        registry.register(
            "in_flight",
            "Requests that are being answered, blobs that are being sent among them",
            self.in_flight.clone(),
        );
        registry.register_with_unit(
            "upstream",
            "How long upstreams took to begin an answer",
            Unit::Seconds,
            self.upstream.clone(),
        );
        registry.register(
            "rate_limit",
            "Pulls that a registry allows in a window, as it was last told",
            self.rate_limit.clone(),
        );
        registry.register(
            "rate_limit_remaining",
            "Pulls that a registry still allows, as it was last told",
            self.rate_remaining.clone(),
        );
    }

    /// How many requests are being answered.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        self.open.fetch_add(1, Ordering::Relaxed);
        InFlight {
            metrics: self.clone(),
        }
    }

    pub(crate) fn answered(&self, kind: &'static str, source: Option<Source>, status: u16) {
        let status = match status {
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        let cache = source.map_or("none", Source::as_str);
        let labels = Served {
            kind,
            cache,
            status,
        };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn denied(&self, reason: &'static str) {
        self.denials.get_or_create(&Denied { reason }).inc();
    }

    pub(crate) fn served(&self, bytes: u64) {
        self.served.inc_by(bytes);
    }

    /// Notes bytes of content that an upstream sent.
    pub(crate) fn fetched(&self, bytes: u64) {
        self.fetched.inc_by(bytes);
    }

    /// Notes a rate limit. `registry` is one of not too many.
    pub(crate) fn rate(&self, registry: String, limit: u64, remaining: u64) {
        let labels = Limited { registry };
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.rate_limit.get_or_create(&labels).set(number(limit));
        self.rate_remaining
            .get_or_create(&labels)
            .set(number(remaining));
    }

    pub(crate) fn upstream(&self, outcome: &'static str, took: Duration) {
        let outcome = Outcome { outcome };
        self.upstream
            .get_or_create(&outcome)
            .observe(took.as_secs_f64());
    }
}

// === impl InFlight ===

impl InFlight {
    pub(crate) fn served(&self, bytes: u64) {
        self.metrics.served(bytes);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        self.metrics.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn latencies() -> Histogram {
    Histogram::new(LATENCIES_SECONDS)
}

/// From a registry in the same rack to one that is about to be given up.
const LATENCIES_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
