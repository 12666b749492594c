//! Tokens: what a token service gave for a repository and a login, kept until shortly before it expires.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ramgate_policy::Repository;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::credentials::Secret;

/// A token service's answer; source: distribution's `docs/spec/auth/token.md` and `oauth.md`.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Tokens of one registry. The scope is the repository: only pulls are asked for.
#[derive(Default)]
pub(crate) struct Tokens {
    by_scope: Mutex<HashMap<Scope, (String, Instant)>>,
}

/// For what and for whom a token is. The login is told by its fingerprint.
pub(crate) type Scope = (Repository, u64);

/// The request that gets a token. It goes nowhere but to the challenge's realm, which was bound to the registry before.
pub(crate) fn request(
    client: &Client,
    challenge: Challenge,
    repository: &Repository,
    secret: Option<&Secret>,
) -> RequestBuilder {
    let scope = format!("repository:{}:pull", repository.path());
    let mut url = challenge.realm;
    let service = challenge.service.as_deref();
    if let Some(Secret::Identity(refresh)) = secret {
        let mut fields = vec![("grant_type", "refresh_token"), ("client_id", "ramgate")];
        fields.extend([("refresh_token", refresh.as_str()), ("scope", &scope)]);
        fields.extend(service.map(|service| ("service", service)));
        let form = form(&fields);
        return client
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
    }
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("scope", &scope);
        if let Some(service) = service {
            query.append_pair("service", service);
        }
    }
    match secret {
        Some(Secret::Password { username, password }) => {
            client.get(url).basic_auth(username, Some(password))
        }
        Some(Secret::Identity(_)) | None => client.get(url),
    }
}

/// A form's body; a query is written the same way.
fn form(fields: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("form:") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
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
    pub(crate) fn find(&self, scope: &Scope, now: Instant) -> Option<String> {
        let tokens = self.by_scope.lock().unwrap_or_else(PoisonError::into_inner);
        tokens
            .get(scope)
            .filter(|(_, expires)| *expires > now)
            .map(|(token, _)| token.clone())
    }

    pub(crate) fn keep(&self, scope: Scope, token: String, life: Duration, now: Instant) {
        let mut tokens = self.by_scope.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, expires)| *expires > now);
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(scope, (token, now + life.saturating_sub(MARGIN)));
    }

    pub(crate) fn forget(&self, scope: &Scope) {
        self.by_scope
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(scope);
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tokens(…)")
    }
}

/// What the token spec says where `expires_in` is missing.
const LIFE_DEFAULT: Duration = Duration::from_mins(1);
/// No service means more; and a nonsensical number must not overflow.
const LIFE_MAX: Duration = Duration::from_hours(24);
/// So that a token does not expire on its way.
const MARGIN: Duration = Duration::from_secs(10);
/// Tokens are some KiB each.
const TOKENS_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_repository_and_one_login() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        let scope = |path: &str, login| {
            (
                Repository::new("ghcr.io".parse().unwrap(), path).unwrap(),
                login,
            )
        };
        let life = Duration::from_mins(5);
        tokens.keep(scope("acme/x", 1), "t".to_owned(), life, now);
        assert_eq!(tokens.find(&scope("acme/x", 1), now).as_deref(), Some("t"));
        assert_eq!(tokens.find(&scope("acme/y", 1), now), None);
        assert_eq!(tokens.find(&scope("acme/x", 2), now), None);
        assert_eq!(tokens.find(&scope("acme/x", 1), now + life), None);
        assert_eq!(format!("{tokens:?}"), "Tokens(…)");
    }

    #[test]
    fn a_form_escapes_what_would_end_a_field() {
        assert_eq!(
            form(&[("a", "x&b=y"), ("c", "ä +")]),
            "a=x%26b%3Dy&c=%C3%A4+%2B"
        );
    }
}
