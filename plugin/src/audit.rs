//! One event for each decision of the plugin, with the same fields for allow and deny.
//!
//! Requests that bear no image are no decisions: they pass, and there are many of them.

use std::time::Instant;

use ramgate_policy::{Denial, Grant, Subject};
use ramgate_provenance::{DecisionId, TraceContext};

use crate::answer::Refusal;
use crate::case::Judged;
use crate::identity::JudgedContainer;

/// What is known of a request when it is decided.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) method: String,
    pub(crate) route: &'static str,
    pub(crate) api_version: Option<String>,
    /// Of which trace the client says it is a part.
    pub(crate) trace: Option<TraceContext>,
    /// The question that decided, or the last one.
    pub(crate) judged: Judged,
}

pub(crate) fn allowed(facts: &Facts, subject: &Subject, grant: Option<&Grant>, started: Instant) {
    let suppressed = grant.and_then(Grant::suppressed);
    tracing::debug!(
        target: "ramgate::audit",
        gate = "plugin",
        decision = "allow",
        reason = suppressed.map_or("allowed", |denial| denial.reason().code()),
        rule = grant.map_or("engine gate", Grant::rule),
        registry = facts.judged.registry,
        repository = facts.judged.repository,
        action = facts.judged.action.logged(),
        image = facts.judged.image,
        principal = subject.principal(),
        route = facts.route,
        method = facts.method,
        api_version = facts.api_version,
        trace = facts.trace.map(display),
        elapsed_ms = milliseconds(started),
        "request allowed"
    );
}

/// `id` is what the user reads too.
pub(crate) fn refused(
    id: DecisionId,
    facts: &Facts,
    subject: &Subject,
    refusal: &Refusal,
    started: Instant,
) {
    // The macro wants a constant level and a constant message, hence one arm each.
    macro_rules! event {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                target: "ramgate::audit",
                gate = "plugin",
                decision = "deny",
                id = %id,
                reason = refusal.code(),
                rule = refusal.rule(),
                registry = facts.judged.registry,
                repository = facts.judged.repository,
                action = facts.judged.action.logged(),
                image = facts.judged.image,
                principal = subject.principal(),
                route = facts.route,
                method = facts.method,
                api_version = facts.api_version,
                trace = facts.trace.map(display),
                elapsed_ms = milliseconds(started),
                $message
            )
        };
    }
    match refusal {
        Refusal::Denied { .. }
        | Refusal::NoGates(_)
        | Refusal::OwnPlugin
        | Refusal::Meanwhile(_) => {
            event!(info, "request denied")
        }
        Refusal::Unreadable(_) => event!(warn, "request unreadable"),
        Refusal::Unevaluated(_) | Refusal::Timeout => event!(error, "could not evaluate"),
    }
}

/// A container runs that no request was allowed for.
pub(crate) fn found(judged: &JudgedContainer, denial: &Denial, stopped: bool, began: Instant) {
    let image = judged.images.first();
    let origin = image.and_then(|image| image.record.origins.first());
    tracing::info!(
        target: "ramgate::audit",
        gate = "watch",
        decision = "deny",
        reason = denial.reason().code(),
        rule = denial.rule(),
        registry = origin.map(|origin| origin.registry().to_string()),
        repository = origin.map(|origin| origin.path().to_owned()),
        action = "run",
        image = image.and_then(|image| image.id.as_ref()).map(ToString::to_string),
        container = judged.id,
        stopped,
        elapsed_ms = milliseconds(began),
        "denied image runs"
    );
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}
