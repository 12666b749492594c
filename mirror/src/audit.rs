//! One event for each decision of the mirror and of inspection, with the same fields for allow and deny.

use std::time::Instant;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response};
use ramgate_policy::{Action, Denial, Digest, Grant, Registry, Repository, Subject};
use ramgate_provenance::{DecisionId, TraceContext};

use crate::path::{InvalidPath, Target};

/// Who asks, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    gate: &'static str,
    subject: &'a Subject,
    /// Of which trace the client says that its request is a part.
    trace: Option<TraceContext>,
}

/// What is asked, as the log has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) asker: Asker<'a>,
    pub(crate) repository: &'a Repository,
    pub(crate) tag: Option<&'a str>,
    pub(crate) digest: Option<&'a Digest>,
    pub(crate) action: Action,
    pub(crate) started: Instant,
}

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

// === impl Asker ===

impl<'a> Asker<'a> {
    /// The daemon, of the mirror.
    pub(crate) const MIRROR: Asker<'static> = Asker {
        gate: "mirror",
        subject: &Subject::Daemon,
        trace: None,
    };

    /// Whose requests to a registry are read on their way.
    pub(crate) const fn inspected(subject: &'a Subject) -> Self {
        Self {
            gate: "inspect",
            subject,
            trace: None,
        }
    }

    /// With what the headers of its request say of a trace.
    pub(crate) fn tracing(self, headers: &HeaderMap) -> Self {
        let values = headers.get_all(TraceContext::HEADER);
        let trace = TraceContext::of(values.iter().map(HeaderValue::as_bytes));
        Self { trace, ..self }
    }

    /// Who asks.
    pub(crate) const fn subject(&self) -> &'a Subject {
        self.subject
    }

    /// It could not be read. `id` is what the user reads too, here and below.
    pub(crate) fn unreadable(
        &self,
        id: DecisionId,
        registry: Option<&Registry>,
        problem: &InvalidPath,
    ) {
        tracing::warn!(
            target: "ramgate::audit",
            gate = self.gate,
            decision = "deny",
            id = %id,
            reason = problem.code(),
            registry = registry.map(display),
            principal = self.subject.principal(),
            trace = self.trace.map(display),
            "request unreadable"
        );
    }

    /// A search was denied.
    pub(crate) fn search_denied(&self, id: DecisionId, registry: &Registry, denial: &Denial) {
        tracing::info!(
            target: "ramgate::audit",
            gate = self.gate,
            decision = "deny",
            id = %id,
            reason = denial.reason().code(),
            rule = denial.rule(),
            %registry,
            action = "search",
            principal = self.subject.principal(),
            trace = self.trace.map(display),
            "request denied"
        );
    }
}

// === impl Asked ===

impl<'a> Asked<'a> {
    /// What a request to the mirror asks for: `target`, of `repository`.
    pub(crate) fn of_mirror(
        asker: Asker<'a>,
        repository: &'a Repository,
        target: &'a Target,
        started: Instant,
    ) -> Self {
        let (tag, digest) = match target {
            Target::Manifest(_, pointer) => pointer.parts(),
            Target::Blob(_, digest) | Target::Referrers(_, digest) => (None, Some(digest)),
            Target::Base | Target::Tags(_) | Target::Other(_) => (None, None),
        };
        Self {
            asker,
            repository,
            tag,
            digest,
            action: Action::Pull,
            started,
        }
    }

    pub(crate) fn allowed(&self, grant: &Grant, source: Option<Source>) {
        tracing::debug!(
            target: "ramgate::audit",
            gate = self.asker.gate,
            decision = "allow",
            reason = grant.suppressed().map_or("allowed", |denial| denial.reason().code()),
            rule = grant.rule(),
            registry = %self.repository.registry(),
            repository = self.repository.path(),
            tag = self.tag,
            digest = self.digest.map(Digest::as_str),
            action = self.action.as_str(),
            principal = self.asker.subject.principal(),
            cache = source.map(Source::as_str),
            trace = self.asker.trace.map(display),
            elapsed_ms = milliseconds(self.started),
            "request allowed"
        );
    }

    pub(crate) fn denied(&self, id: DecisionId, denial: &Denial) {
        tracing::info!(
            target: "ramgate::audit",
            gate = self.asker.gate,
            decision = "deny",
            id = %id,
            reason = denial.reason().code(),
            rule = denial.rule(),
            registry = %self.repository.registry(),
            repository = self.repository.path(),
            tag = self.tag,
            digest = self.digest.map(Digest::as_str),
            action = self.action.as_str(),
            principal = self.asker.subject.principal(),
            trace = self.asker.trace.map(display),
            elapsed_ms = milliseconds(self.started),
            "request denied"
        );
    }

    /// In `mode: audit`: content that is served although where it comes from would deny it.
    pub(crate) fn suppressed(&self, denial: &Denial) {
        tracing::info!(
            target: "ramgate::audit",
            gate = self.asker.gate,
            decision = "allow",
            reason = denial.reason().code(),
            rule = "mode: audit",
            registry = %self.repository.registry(),
            repository = self.repository.path(),
            digest = self.digest.map(Digest::as_str),
            action = self.action.as_str(),
            principal = self.asker.subject.principal(),
            trace = self.asker.trace.map(display),
            elapsed_ms = milliseconds(self.started),
            "copy of what would be denied allowed"
        );
    }
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

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}
