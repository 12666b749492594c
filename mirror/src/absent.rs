//! What upstreams said a moment ago that they do not have, so that they are not asked again for each client.
//!
//! Only that a manifest is not there (404): a refusal or a failure is not an answer to the question. In memory alone, bounded, and
//! forgotten for a repository as soon as it is seen to have something new.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use ramgate_policy::{Permit, Policy, Repository};

use crate::answer::Unserved;
use crate::audit::Source;
use crate::manifests::Found;
use crate::mirror::Mirror;
use crate::path::Pointer;
use crate::upstream::UpstreamError;

/// What is absent, by repository.
#[derive(Debug)]
pub(crate) struct Absent {
    ttl: Duration,
    by_repository: Cache<Repository, Arc<Mutex<HashMap<String, Instant>>>>,
}

// === impl Absent ===

impl Absent {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            by_repository: Cache::new(REPOSITORIES_MAX),
        }
    }

    /// Whether the repository did not have `pointer` a moment ago.
    fn knows(&self, repository: &Repository, pointer: &str, now: Instant) -> bool {
        self.by_repository.get(repository).is_some_and(|absent| {
            let absent = absent.lock().unwrap_or_else(PoisonError::into_inner);
            absent
                .get(pointer)
                .is_some_and(|seen| now.saturating_duration_since(*seen) < self.ttl)
        })
    }

    fn note(&self, repository: &Repository, pointer: &str, now: Instant) {
        if self.ttl.is_zero() {
            return;
        }
        let absent = self.by_repository.get_with_by_ref(repository, Arc::default);
        let mut absent = absent.lock().unwrap_or_else(PoisonError::into_inner);
        absent.retain(|_, seen| now.saturating_duration_since(*seen) < self.ttl);
        if absent.len() < POINTERS_MAX {
            absent.insert(pointer.to_owned(), now);
        }
    }

    fn forget(&self, repository: &Repository) {
        self.by_repository.invalidate(repository);
    }
}

// === impl Mirror ===

impl Mirror {
    /// Finds the manifest that `pointer` names in the permitted repository, unless it was not there a moment ago.
    pub(crate) async fn manifest(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        pointer: &Pointer,
    ) -> Result<Found, Unserved> {
        let absent = &self.memory().absent;
        if absent.knows(permit.repository(), name(pointer), Instant::now()) {
            return Err(UpstreamError::NotFound.into());
        }
        match self.remembered_manifest(permit, pointer) {
            Some(found) => Ok(found),
            None => self.asked_once(permit, policy, pointer).await,
        }
    }

    /// Remembers what was not found, or that there is something new.
    pub(crate) fn note_absence(
        &self,
        permit: &Permit,
        pointer: &Pointer,
        found: &Result<Found, Unserved>,
    ) {
        let (repository, absent) = (permit.repository(), &self.memory().absent);
        match found {
            Err(Unserved::Upstream(UpstreamError::NotFound)) => {
                absent.note(repository, name(pointer), Instant::now());
            }
            // Somebody has pushed here.
            Ok((_, _, Source::Miss)) => absent.forget(repository),
            Ok((_, _, Source::Hit | Source::Stale)) | Err(_) => {}
        }
    }
}

fn name(pointer: &Pointer) -> &str {
    match pointer {
        Pointer::Tag(tag) => tag,
        Pointer::Digest(digest) => digest.as_str(),
    }
}

const REPOSITORIES_MAX: u64 = 1_000;
/// A client that asks for one name after another fills no more than this. What is not remembered is asked for again.
const POINTERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(path: &str) -> Repository {
        Repository::new("ghcr.io".parse().unwrap(), path).unwrap()
    }

    #[test]
    fn absence_is_of_one_repository_and_passes() {
        let ttl = Duration::from_secs(10);
        let (absent, now) = (Absent::new(ttl), Instant::now());
        let (one, other) = (repository("acme/x"), repository("acme/y"));
        absent.note(&one, "1", now);
        assert!(absent.knows(&one, "1", now));
        assert!(!absent.knows(&one, "2", now));
        assert!(!absent.knows(&other, "1", now));
        assert!(!absent.knows(&one, "1", now + ttl));
        absent.forget(&one);
        assert!(!absent.knows(&one, "1", now));
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let (absent, now) = (Absent::new(Duration::from_secs(10)), Instant::now());
        let one = repository("acme/x");
        for number in 0..1_000 {
            absent.note(&one, &number.to_string(), now);
        }
        let known = (0..1_000).filter(|number| absent.knows(&one, &number.to_string(), now));
        assert_eq!(known.count(), POINTERS_MAX);
        let off = Absent::new(Duration::ZERO);
        off.note(&one, "1", now);
        assert!(!off.knows(&one, "1", now));
    }
}
