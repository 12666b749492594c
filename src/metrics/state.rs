//! What is measured when it is asked for, and costs nothing until then.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use ramgate_policy::Policy;
use ramgate_provenance::Ledger;

/// How many images the ledger has records of.
#[derive(Debug)]
pub(super) struct LedgerSize(pub(super) Arc<Ledger>);

/// Whether the policy in force only logs what it would deny.
#[derive(Debug)]
pub(super) struct PolicyMode(pub(super) Arc<ArcSwap<Policy>>);

// === impl Collector ===

impl Collector for LedgerSize {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let records = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        let help = "Images that the ledger has records of";
        gauge(encoder, "ramgate_ledger_records", help, records)
    }
}

impl Collector for PolicyMode {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Whether the policy's mode is audit: denials are logged and not enforced";
        let audit = i64::from(self.0.load().is_audit());
        gauge(encoder, "ramgate_policy_audit_mode", help, audit)
    }
}

fn gauge(mut encoder: DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let encoder = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(encoder)
}
