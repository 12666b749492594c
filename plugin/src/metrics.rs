//! What the engine gate counts, for Prometheus.
//!
//! Every decision is counted where it is made, through a handle that was found beforehand: a request looks no label up. Labels
//! are words of our own, so nobody who asks can add to their number.

mod deed;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use deed::Deed;

/// What the engine gate counts. Cloning it gives the same counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    decisions: Family<DecisionLabels, Counter>,
    /// The same, by [`Deed`], [`Outcome`] and mode.
    decided: [[[Counter; MODES.len()]; Outcome::ALL.len()]; Deed::ALL.len()],
    passed: Counter,
    duration: Histogram,
    unreadable: Family<ReasonLabel, Counter>,
    unevaluated: Family<ReasonLabel, Counter>,
    found: Family<ReactionLabel, Counter>,
    reported: Counter,
    stopped: Counter,
    connected: Gauge,
    reconciled: Counter,
}

/// How a request that bears images was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Allow,
    Deny,
    /// The policy says no, and its mode is audit.
    Suppressed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    action: &'static str,
    decision: &'static str,
    mode: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReactionLabel {
    reaction: &'static str,
}

// === impl Metrics ===

impl Metrics {
    /// Adds all of it to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let inner = &self.inner;
        let registry = registry.sub_registry_with_prefix("ramgate_plugin");
        registry.register(
            "decisions",
            "Requests that bear images, by what they do, how they were decided and the policy's mode",
            inner.decisions.clone(),
        );
        registry.register(
            "passed",
            "Requests that bear no images and were let through unasked",
            inner.passed.clone(),
        );
        registry.register_with_unit(
            "decision_duration",
            "Time from a request of the daemon to its decision",
            Unit::Seconds,
            inner.duration.clone(),
        );
        registry.register(
            "unreadable",
            "Requests that were denied because they could not be read, or in two ways, by reason",
            inner.unreadable.clone(),
        );
        registry.register(
            "unevaluated",
            "Requests that were denied because they could not be evaluated, by reason",
            inner.unevaluated.clone(),
        );
        registry.register(
            "watch_findings",
            "Running containers that the policy denies and no request showed, by what was done",
            inner.found.clone(),
        );
        registry.register(
            "engine_connected",
            "Whether the engine's events are being followed",
            inner.connected.clone(),
        );
        registry.register(
            "ledger_reconciliations",
            "Looks at everything the engine has, at the start and after each gap in its events",
            inner.reconciled.clone(),
        );
    }

    /// A request bears images and was decided.
    pub(crate) fn decided(&self, deed: Deed, outcome: Outcome, audit: bool, took: Duration) {
        // The array has a place for each.
        let cell = self.inner.decided.get(deed as usize);
        let cell = cell.and_then(|outcomes| outcomes.get(outcome as usize));
        if let Some(counter) = cell.and_then(|modes| modes.get(usize::from(audit))) {
            counter.inc();
        }
        self.inner.duration.observe(took.as_secs_f64());
    }

    /// A request bears none.
    pub(crate) fn passed(&self) {
        self.inner.passed.inc();
    }

    /// A request could not be read.
    pub(crate) fn unreadable(&self, reason: &'static str) {
        let label = ReasonLabel { reason };
        self.inner.unreadable.get_or_create(&label).inc();
    }

    /// A request could not be evaluated.
    pub(crate) fn unevaluated(&self, reason: &'static str) {
        let label = ReasonLabel { reason };
        self.inner.unevaluated.get_or_create(&label).inc();
    }

    /// A container runs that must not.
    pub(crate) fn found(&self, stopped: bool) {
        let counter = if stopped {
            &self.inner.stopped
        } else {
            &self.inner.reported
        };
        counter.inc();
    }

    /// The engine's events are followed, or no longer.
    pub(crate) fn connected(&self, connected: bool) {
        self.inner.connected.set(i64::from(connected));
    }

    /// The ledger was compared with all that the engine has.
    pub(crate) fn reconciled(&self) {
        self.inner.reconciled.inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let decisions = Family::<DecisionLabels, Counter>::default();
        let decided = Deed::ALL.map(|deed| {
            Outcome::ALL.map(|outcome| {
                MODES.map(|mode| {
                    if outcome == Outcome::Suppressed && mode == ENFORCE {
                        // There is no such thing, and it is not shown.
                        return Counter::default();
                    }
                    decisions.get_or_create_owned(&DecisionLabels {
                        action: deed.as_str(),
                        decision: outcome.as_str(),
                        mode,
                    })
                })
            })
        });
        let found = Family::<ReactionLabel, Counter>::default();
        let reaction = |reaction| found.get_or_create_owned(&ReactionLabel { reaction });
        // From the start: a rate over a series that begins with 1 is none.
        let unevaluated = Family::<ReasonLabel, Counter>::default();
        for reason in UNEVALUATED {
            unevaluated.get_or_create_owned(&ReasonLabel { reason });
        }
        let inner = Inner {
            decided,
            passed: Counter::default(),
            duration: Histogram::new(DURATIONS),
            unreadable: Family::default(),
            unevaluated,
            reported: reaction("reported"),
            stopped: reaction("stopped"),
            connected: Gauge::default(),
            reconciled: Counter::default(),
            decisions,
            found,
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::Suppressed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Suppressed => "suppressed",
        }
    }
}

const ENFORCE: &str = "enforce";
/// By whether it is audit.
const MODES: [&str; 2] = [ENFORCE, "audit"];

/// The codes of what could not be evaluated.
const UNEVALUATED: [&str; 2] = ["engine-unavailable", "timeout"];

/// In seconds: from what a decision by names takes, over that of a question to the engine, up to the deadline.
const DURATIONS: [f64; 12] = [
    25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 10e-3, 50e-3, 250e-3, 1.0, 5.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(metrics: &Metrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[track_caller]
    fn check(text: &str, line: &str) {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }

    #[test]
    fn a_decision_is_counted_by_what_it_was_and_by_nothing_else() {
        let metrics = Metrics::default();
        metrics.decided(Deed::Run, Outcome::Deny, false, Duration::from_micros(30));
        metrics.decided(
            Deed::Build,
            Outcome::Suppressed,
            true,
            Duration::from_secs(7),
        );
        let text = shown(&metrics);
        let counted: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("decisions_total{") && !line.ends_with(" 0"))
            .collect();
        assert_eq!(counted.len(), 2, "{text}");
        check(
            &text,
            r#"ramgate_plugin_decisions_total{action="run",decision="deny",mode="enforce"} 1"#,
        );
        check(
            &text,
            r#"ramgate_plugin_decisions_total{action="build",decision="suppressed",mode="audit"} 1"#,
        );
        check(
            &text,
            r#"ramgate_plugin_decision_duration_seconds_bucket{le="0.00005"} 1"#,
        );
        check(&text, "ramgate_plugin_decision_duration_seconds_count 2");
        assert!(!text.contains(r#"decision="suppressed",mode="enforce""#));
    }

    #[test]
    fn what_has_not_happened_is_there_as_nothing() {
        let metrics = Metrics::default();
        metrics.connected(true);
        metrics.found(true);
        let text = shown(&metrics);
        check(
            &text,
            r#"ramgate_plugin_watch_findings_total{reaction="reported"} 0"#,
        );
        check(
            &text,
            r#"ramgate_plugin_watch_findings_total{reaction="stopped"} 1"#,
        );
        check(
            &text,
            r#"ramgate_plugin_decisions_total{action="pull",decision="allow",mode="enforce"} 0"#,
        );
        check(&text, "ramgate_plugin_engine_connected 1");
        metrics.connected(false);
        check(&shown(&metrics), "ramgate_plugin_engine_connected 0");
    }
}
