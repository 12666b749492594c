//! One event for each decision, with the fields that the mirror's have.

use std::time::Instant;

use ramgate_policy::{Denial, Permit, Registry, Repository};
use ramgate_provenance::DecisionId;

use super::route::Purpose;
use crate::path::{InvalidPath, Pointer};

pub(super) fn allowed(permit: &Permit, purpose: &Purpose, started: Instant) {
    let repository = permit.repository();
    let (tag, digest) = pointers(purpose);
    let grant = permit.grant();
    tracing::debug!(
        target: "ramgate::audit",
        gate = GATE,
        decision = "allow",
        reason = grant.suppressed().map_or("allowed", |denial| denial.reason().code()),
        rule = grant.rule(),
        registry = %repository.registry(),
        repository = repository.path(),
        tag,
        digest,
        action = permit.action().as_str(),
        principal = "daemon",
        elapsed_ms = started.elapsed().as_secs_f64() * 1_000.0,
        "request allowed"
    );
}

/// `id` is what the user reads too, here and below.
pub(super) fn denied(
    id: DecisionId,
    repository: &Repository,
    purpose: &Purpose,
    denial: &Denial,
    started: Instant,
) {
    let (tag, digest) = pointers(purpose);
    let action = match purpose {
        Purpose::Push { .. } => "push",
        Purpose::Blob(_) | Purpose::Listing | Purpose::Manifest(_) => "pull",
    };
    tracing::info!(
        target: "ramgate::audit",
        gate = GATE,
        decision = "deny",
        id = %id,
        reason = denial.reason().code(),
        rule = denial.rule(),
        registry = %repository.registry(),
        repository = repository.path(),
        tag,
        digest,
        action,
        principal = "daemon",
        elapsed_ms = started.elapsed().as_secs_f64() * 1_000.0,
        "request denied"
    );
}

pub(super) fn registry_denied(id: DecisionId, registry: &Registry, denial: &Denial) {
    tracing::info!(
        target: "ramgate::audit",
        gate = GATE,
        decision = "deny",
        id = %id,
        reason = denial.reason().code(),
        rule = denial.rule(),
        %registry,
        action = "search",
        principal = "daemon",
        "request denied"
    );
}

pub(super) fn unreadable(id: DecisionId, registry: &Registry, problem: &InvalidPath) {
    tracing::warn!(
        target: "ramgate::audit",
        gate = GATE,
        decision = "deny",
        id = %id,
        reason = problem.code(),
        %registry,
        principal = "daemon",
        "request unreadable"
    );
}

fn pointers(purpose: &Purpose) -> (Option<&str>, Option<&str>) {
    match purpose {
        Purpose::Manifest(Pointer::Tag(tag)) => (Some(tag), None),
        Purpose::Manifest(Pointer::Digest(digest)) | Purpose::Blob(digest) => {
            (None, Some(digest.as_str()))
        }
        Purpose::Listing | Purpose::Push { .. } => (None, None),
    }
}

const GATE: &str = "inspect";
