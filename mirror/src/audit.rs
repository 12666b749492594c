//! One event for each decision of the mirror, with the same fields for allow and deny.

use std::time::Instant;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response};
use ramgate_policy::{Denial, Digest, Permit, Repository};
use ramgate_provenance::{DecisionId, TraceContext};

use crate::path::{InvalidPath, Pointer, Target};

/// Where what was served came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The store or memory.
    Hit,
    /// The upstream.
    Miss,
    /// The store, although the upstream should have been asked and failed.
    Stale,
}

// === impl Source ===

impl Source {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
        }
    }
}

/// What is known of a request before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    started: Instant,
    /// Of which trace the client says it is a part.
    trace: Option<TraceContext>,
}

// === impl Asked ===

impl Asked {
    pub(crate) fn new(parts: &Parts, started: Instant) -> Self {
        let values = parts.headers.get_all(TraceContext::HEADER);
        Self {
            started,
            trace: TraceContext::of(values.iter().map(HeaderValue::as_bytes)),
        }
    }
}

pub(crate) fn allowed(permit: &Permit, target: &Target, source: Option<Source>, asked: Asked) {
    let repository = permit.repository();
    let (tag, digest) = pointers(target);
    let grant = permit.grant();
    tracing::debug!(
        target: "ramgate::audit",
        gate = "mirror",
        decision = "allow",
        reason = grant.suppressed().map_or("allowed", |denial| denial.reason().code()),
        rule = grant.rule(),
        registry = %repository.registry(),
        repository = repository.path(),
        tag,
        digest,
        action = permit.action().as_str(),
        principal = "daemon",
        cache = source.map(Source::as_str),
        trace = asked.trace.map(display),
        elapsed_ms = milliseconds(asked.started),
        "pull allowed"
    );
}

/// `id` is what the user reads too.
pub(crate) fn denied(
    id: DecisionId,
    repository: &Repository,
    target: &Target,
    denial: &Denial,
    asked: Asked,
) {
    let (tag, digest) = pointers(target);
    tracing::info!(
        target: "ramgate::audit",
        gate = "mirror",
        decision = "deny",
        id = %id,
        reason = denial.reason().code(),
        rule = denial.rule(),
        registry = %repository.registry(),
        repository = repository.path(),
        tag,
        digest,
        action = "pull",
        principal = "daemon",
        cache = None::<&str>,
        trace = asked.trace.map(display),
        elapsed_ms = milliseconds(asked.started),
        "pull denied"
    );
}

/// `id` is what the user reads too.
pub(crate) fn unreadable(id: DecisionId, problem: &InvalidPath, asked: Asked) {
    tracing::warn!(
        target: "ramgate::audit",
        gate = "mirror",
        decision = "deny",
        id = %id,
        reason = problem.code(),
        principal = "daemon",
        trace = asked.trace.map(display),
        "request unreadable"
    );
}

/// In `mode: audit`: content that is served although where it comes from would deny it.
pub(crate) fn suppressed(permit: &Permit, digest: &Digest, denial: &Denial) {
    let repository = permit.repository();
    tracing::info!(
        target: "ramgate::audit",
        gate = "mirror",
        decision = "allow",
        reason = denial.reason().code(),
        rule = "mode: audit",
        registry = %repository.registry(),
        repository = repository.path(),
        tag = None::<&str>,
        digest = digest.as_str(),
        action = permit.action().as_str(),
        principal = "daemon",
        cache = None::<&str>,
        elapsed_ms = 0.0,
        "copy of what would be denied allowed"
    );
}

/// The access log: one event for each request, whatever became of it. Without the query, which is the client's.
pub(crate) fn access(
    asked: &Parts,
    response: &Response<Body>,
    source: Option<Source>,
    started: Instant,
) {
    tracing::debug!(
        target: "ramgate::access",
        method = %asked.method,
        path = asked.uri.path(),
        status = response.status().as_u16(),
        bytes = crate::answer::length(response),
        cache = source.map(Source::as_str),
        elapsed_ms = milliseconds(started),
        "answered"
    );
}

fn pointers(target: &Target) -> (Option<&str>, Option<&str>) {
    match target {
        Target::Manifest(_, Pointer::Tag(tag)) => (Some(tag), None),
        Target::Manifest(_, Pointer::Digest(digest))
        | Target::Blob(_, digest)
        | Target::Referrers(_, digest) => (None, Some(digest.as_str())),
        Target::Base | Target::Tags(_) | Target::Other(_) => (None, None),
    }
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}
