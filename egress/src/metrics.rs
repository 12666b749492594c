//! What the gate counts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use ramgate_policy::Host;

/// Counters of one gate. Clones count together.
#[derive(Debug)]
pub struct Metrics {
    /// Tunnels and forwarded requests that are open.
    pub(crate) tunnels_open: Gauge,
    /// Tunnels and forwarded requests that were opened.
    pub(crate) tunnels: Counter,
    /// Connections that were captured.
    pub(crate) captured: Counter,
    /// From clients to targets.
    pub(crate) sent_bytes: Counter,
    /// From targets to clients.
    pub(crate) received_bytes: Counter,
    denials: Family<ReasonLabel, Counter>,
    denied_hosts: Family<HostLabel, Counter>,
    /// The hosts that have a counter of their own.
    known_hosts: Mutex<HashMap<Host, Counter>>,
    /// Permitted targets that were not reached.
    pub(crate) failures: Counter,
    /// From permit to connection.
    pub(crate) connect_seconds: Histogram,
}

/// Why something was refused: the codes of `docs/reasons.md`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// To which host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabel {
    host: String,
}

// === impl Metrics ===

impl Metrics {
    /// Makes them known to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "ramgate_egress_tunnels_open",
            "Tunnels and forwarded requests under way",
            self.tunnels_open.clone(),
        );
        registry.register(
            "ramgate_egress_tunnels",
            "Tunnels and forwarded requests that were opened",
            self.tunnels.clone(),
        );
        registry.register(
            "ramgate_egress_captured",
            "Connections of containers that were captured",
            self.captured.clone(),
        );
        registry.register_with_unit(
            "ramgate_egress_sent",
            "What clients sent through tunnels",
            Unit::Bytes,
            self.sent_bytes.clone(),
        );
        registry.register_with_unit(
            "ramgate_egress_received",
            "What clients received through tunnels",
            Unit::Bytes,
            self.received_bytes.clone(),
        );
        registry.register(
            "ramgate_egress_denials",
            "Requests and tunnels that were refused, by reason",
            self.denials.clone(),
        );
        registry.register(
            "ramgate_egress_denied_hosts",
            "Refusals by host: the first 64 hosts since the start, and `other`",
            self.denied_hosts.clone(),
        );
        registry.register(
            "ramgate_egress_upstream_failures",
            "Permitted targets that could not be reached",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "ramgate_egress_connect",
            "From the permit to the connection: the name's resolution and the connection's making",
            Unit::Seconds,
            self.connect_seconds.clone(),
        );
    }

    /// Counts a refusal for `reason`, of `host` if it could be read.
    pub(crate) fn denied(&self, reason: &'static str, host: Option<&Host>) {
        self.denials.get_or_create(&ReasonLabel { reason }).inc();
        if let Some(host) = host {
            self.denied_host(host);
        }
    }

    fn denied_host(&self, host: &Host) {
        // Names come from clients, who could make up any number of them.
        let mut known = self
            .known_hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = known.get(host) {
            counter.inc();
            return;
        }
        let label = if known.len() < HOSTS_MAX {
            host.as_str()
        } else {
            "other"
        };
        let label = HostLabel {
            host: label.to_owned(),
        };
        let counter = self.denied_hosts.get_or_create_owned(&label);
        counter.inc();
        if known.len() < HOSTS_MAX {
            known.insert(host.clone(), counter);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            tunnels_open: Gauge::default(),
            tunnels: Counter::default(),
            captured: Counter::default(),
            sent_bytes: Counter::default(),
            received_bytes: Counter::default(),
            denials: Family::default(),
            denied_hosts: Family::default(),
            known_hosts: Mutex::default(),
            failures: Counter::default(),
            // 1 ms to 16 s: from a neighbour to the last of the timeouts.
            connect_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
        }
    }
}

/// As many series as one gate may have for hosts.
const HOSTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn refusals_are_counted_by_reason_and_host() {
        let metrics = Metrics::default();
        let host = "evil.example".parse().unwrap();
        metrics.denied("host-not-allowed", Some(&host));
        metrics.denied("host-not-allowed", Some(&host));
        metrics.denied("userinfo", None);
        let text = text(&metrics);
        for line in [
            "ramgate_egress_denials_total{reason=\"host-not-allowed\"} 2",
            "ramgate_egress_denials_total{reason=\"userinfo\"} 1",
            "ramgate_egress_denied_hosts_total{host=\"evil.example\"} 2",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn made_up_hosts_share_one_counter() {
        let metrics = Metrics::default();
        for number in 0..1000 {
            let host = format!("h{number}.evil.example").parse().unwrap();
            metrics.denied("host-not-allowed", Some(&host));
        }
        let text = text(&metrics);
        assert_eq!(text.matches("denied_hosts_total{").count(), HOSTS_MAX + 1);
        assert!(
            text.contains("denied_hosts_total{host=\"other\"} 936"),
            "{text}"
        );
    }
}
