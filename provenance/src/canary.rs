//! Canaries: proof that what the engine fetches comes past our gates.
//!
//! The engine is asked to fetch from a host that does not exist and whose name nobody but us knows. A gate that is asked for
//! that host can only have been asked by the engine.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use ramgate_policy::Host;

/// The canaries that are out. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Canaries {
    /// By host: whether a gate has seen it.
    released: Arc<Mutex<HashMap<String, bool>>>,
}

/// One canary. It is gone when this is dropped.
#[derive(Debug)]
pub struct Canary {
    canaries: Canaries,
    host: String,
}

// === impl Canaries ===

impl Canaries {
    /// Releases a canary.
    #[must_use]
    pub fn release(&self) -> Canary {
        // Keyed by the system's randomness, which is what makes it nobody's guess.
        let word = || RandomState::new().build_hasher().finish();
        let host = format!("canary-{:016x}{:016x}{DOMAIN}", word(), word());
        self.lock().insert(host.clone(), false);
        Canary {
            canaries: self.clone(),
            host,
        }
    }

    /// For a gate: notes that it was asked for `host`. Whether that is a canary, which then needs no other answer.
    #[must_use]
    pub fn saw(&self, host: &Host) -> bool {
        // Nearly every host is none, and costs no lock.
        if !host.as_str().ends_with(DOMAIN) {
            return false;
        }
        match self.lock().get_mut(host.as_str()) {
            Some(seen) => {
                *seen = true;
                true
            }
            None => false,
        }
    }

    /// Whether `host` is a canary that is out.
    #[must_use]
    pub fn is_released(&self, host: &Host) -> bool {
        host.as_str().ends_with(DOMAIN) && self.lock().contains_key(host.as_str())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, bool>> {
        self.released.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Canary ===

impl Canary {
    /// The host to ask the engine for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it came past a gate.
    #[must_use]
    pub fn was_seen(&self) -> bool {
        self.canaries.lock().get(&self.host) == Some(&true)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.canaries.lock().remove(&self.host);
    }
}

/// Below `.invalid`, which nothing ever resolves (RFC 2606).
const DOMAIN: &str = ".ramgate.invalid";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_seen_by_its_own_name_while_it_is_out() {
        let canaries = Canaries::default();
        let (canary, other) = (canaries.release(), canaries.release());
        assert_ne!(canary.host(), other.host());
        let host: Host = canary.host().parse().unwrap();
        assert!(canaries.is_released(&host));
        assert!(!canaries.saw(&"ghcr.io".parse().unwrap()));
        assert!(!canaries.saw(&"canary-0.ramgate.invalid".parse().unwrap()));
        assert!(!canary.was_seen());
        assert!(canaries.clone().saw(&host));
        assert!(canary.was_seen() && !other.was_seen());
        drop(canary);
        assert!(!canaries.is_released(&host) && !canaries.saw(&host));
    }
}
