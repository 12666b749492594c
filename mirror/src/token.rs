//! Tokens: what a token service gave for a repository, kept until shortly before it expires.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ramgate_policy::Repository;
use serde::Deserialize;

/// A token service's answer; source: distribution's `docs/spec/auth/token.md`.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Tokens by repository.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    by_repository: Mutex<HashMap<Repository, (String, Instant)>>,
}

// === impl TokenAnswer ===

impl TokenAnswer {
    /// The token and for how long it is good.
    pub(crate) fn token(self) -> Option<(String, Duration)> {
        let token = self
            .token
            .or(self.access_token)
            .filter(|token| !token.is_empty())?;
        let life = self
            .expires_in
            .map_or(LIFE_DEFAULT, Duration::from_secs)
            .min(LIFE_MAX);
        Some((token, life))
    }
}

// === impl Tokens ===

impl Tokens {
    pub(crate) fn find(&self, repository: &Repository, now: Instant) -> Option<String> {
        let tokens = self
            .by_repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokens
            .get(repository)
            .filter(|(_, expires)| *expires > now)
            .map(|(token, _)| token.clone())
    }

    pub(crate) fn keep(&self, repository: &Repository, token: &str, life: Duration, now: Instant) {
        let mut tokens = self
            .by_repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, expires)| *expires > now);
        let expires = now + life.saturating_sub(MARGIN);
        tokens.insert(repository.clone(), (token.to_owned(), expires));
    }

    pub(crate) fn forget(&self, repository: &Repository) {
        self.by_repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(repository);
    }
}

/// What the token spec says where `expires_in` is missing.
const LIFE_DEFAULT: Duration = Duration::from_mins(1);
/// No service means more; and a nonsensical number must not overflow.
const LIFE_MAX: Duration = Duration::from_hours(24);
/// So that a token does not expire on its way.
const MARGIN: Duration = Duration::from_secs(10);
