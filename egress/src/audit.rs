//! One event for each decision, with the same fields for an allowance and a denial.
//!
//! Host and port are all that is said of a target: never a path, a query or a credential.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::Method;
use ramgate_policy::{Host, Subject, TunnelPermit};
use ramgate_provenance::DecisionId;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::guard::RefusedOpening;
use crate::invalid_target::InvalidTarget;
use crate::target::Target;
use crate::upstream::UpstreamError;

/// What was asked, as the log has it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// The request's method.
    pub(crate) method: &'a Method,
    /// Where it wants to go.
    pub(crate) target: &'a Target,
    /// Who asks.
    pub(crate) client: Client,
    /// When it was read.
    pub(crate) since: Instant,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// Who uses the gate as a proxy.
    Daemon,
    /// Whose connection was captured, by its address.
    Captured(IpAddr),
}

/// The policy allowed it. Where it would not have, were it enforced, operators who try a policy out want to see that
/// without turning on debug output.
pub(crate) fn allowed(asked: &Asked<'_>, permit: &TunnelPermit) {
    let grant = permit.grant();
    match grant.suppressed() {
        None => debug!(
            target: TARGET,
            gate = GATE,
            decision = "allow",
            reason = "",
            rule = grant.rule(),
            registry = %asked.target.host(),
            port = asked.target.port(),
            method = word(asked.method),
            principal = %asked.client,
            elapsed_ms = elapsed_ms(asked.since),
            "tunnel allowed"
        ),
        Some(denial) => info!(
            target: TARGET,
            gate = GATE,
            decision = "allow",
            reason = denial.reason().code(),
            rule = grant.rule(),
            registry = %asked.target.host(),
            port = asked.target.port(),
            method = word(asked.method),
            principal = %asked.client,
            elapsed_ms = elapsed_ms(asked.since),
            "tunnel allowed"
        ),
    }
}

/// It was refused, for `reason`, by `rule`. `id` is what the user reads too.
pub(crate) fn denied(id: DecisionId, asked: &Asked<'_>, reason: &str, rule: &str) {
    info!(
        target: TARGET,
        gate = GATE,
        decision = "deny",
        id = %id,
        reason,
        rule,
        registry = %asked.target.host(),
        port = asked.target.port(),
        method = word(asked.method),
        principal = %asked.client,
        elapsed_ms = elapsed_ms(asked.since),
        "tunnel denied"
    );
}

/// It was allowed, and closed again for what the client began with.
pub(crate) fn opening_refused(asked: &Asked<'_>, refused: &RefusedOpening) {
    denied(DecisionId::new(), asked, refused.code(), "egress");
    warn!(
        gate = GATE,
        registry = %asked.target.host(),
        port = asked.target.port(),
        error_source = "downstream",
        error = %refused,
        "tunnel closed at its first bytes"
    );
}

/// It could not be read, and so was refused. `id` is what the user reads too.
pub(crate) fn unreadable(
    id: DecisionId,
    method: &Method,
    invalid: InvalidTarget,
    client: Client,
    since: Instant,
) {
    warn!(
        target: TARGET,
        gate = GATE,
        decision = "deny",
        id = %id,
        reason = invalid.code(),
        rule = "",
        registry = "",
        method = word(method),
        principal = %client,
        elapsed_ms = elapsed_ms(since),
        "request unreadable"
    );
}

/// It was allowed, and could not be done. No decision, so not in the audit log.
pub(crate) fn upstream_failed(asked: &Asked<'_>, error: &UpstreamError) {
    warn!(
        gate = GATE,
        registry = %asked.target.host(),
        port = asked.target.port(),
        method = word(asked.method),
        error_source = "upstream",
        %error,
        elapsed_ms = elapsed_ms(asked.since),
        "upstream failed"
    );
}

/// It was allowed, and there is no room for it.
pub(crate) fn overloaded(asked: &Asked<'_>, tunnels_max: usize) {
    warn!(
        gate = GATE,
        registry = %asked.target.host(),
        port = asked.target.port(),
        error_source = "internal",
        tunnels_max,
        "no room for another tunnel"
    );
}

/// What a captured connection began with was refused, before there was a target to name.
pub(crate) fn capture_refused(client: Client, to: SocketAddr, reason: &str, since: Instant) {
    info!(
        target: TARGET,
        gate = GATE,
        decision = "deny",
        reason,
        rule = "egress",
        registry = %to.ip(),
        port = to.port(),
        method = "CONNECT",
        principal = %client,
        elapsed_ms = elapsed_ms(since),
        "captured connection refused"
    );
}

/// A method is any token, and one as long as a head may be has no place in a log.
fn word(method: &Method) -> &str {
    if method.as_str().len() <= METHOD_LENGTH_MAX {
        method.as_str()
    } else {
        "other"
    }
}

fn elapsed_ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

// === impl Client ===

impl Client {
    /// As whom the policy has them.
    pub(crate) fn subject(self) -> Subject {
        match self {
            Self::Daemon => Subject::Daemon,
            Self::Captured(address) => Subject::Address(Host::from(address)),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.subject().principal())
    }
}

const TARGET: &str = "ramgate::audit";
const GATE: &str = "egress";
/// The longest registered method has 17 letters (IANA, HTTP Method Registry).
const METHOD_LENGTH_MAX: usize = 17;
