//! Token authentication as Docker Hub and ghcr.io do it, for anonymous clients: a challenge, a token, a scope.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>. Tokens are their scopes in clear: a lab has nothing to keep.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// Where a registry sends its clients for tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Realm {
    pub(crate) url: &'static str,
    pub(crate) service: &'static str,
}

// === impl Realm ===

impl Realm {
    /// The challenge to a request without a token good for it, or nothing when it has one.
    pub(crate) fn challenge(
        self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<String> {
        let wanted = scope(method, path);
        let held = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|token| URL_SAFE_NO_PAD.decode(token).ok())
            .and_then(|scopes| String::from_utf8(scopes).ok());
        let Self { url, service } = self;
        match (wanted, held) {
            (None, Some(_)) => None,
            (Some(wanted), Some(held)) if held.split(' ').any(|held| wanted.within(held)) => None,
            (None, None) => Some(format!(r#"Bearer realm="{url}",service="{service}""#)),
            (Some(wanted), _) => Some(format!(
                r#"Bearer realm="{url}",service="{service}",scope="repository:{}:{}""#,
                wanted.repository, wanted.actions
            )),
        }
    }

    /// The answer to a request for a token. Whoever asks gets what is asked for.
    pub(crate) fn grant(query: &str) -> Value {
        let scopes: Vec<String> = query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("scope="))
            .map(|scope| {
                percent_decode_str(&scope.replace('+', " "))
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect();
        // Who logs in asks for no scope, and wants a token all the same.
        let scopes = if scopes.is_empty() {
            "none".to_owned()
        } else {
            scopes.join(" ")
        };
        let token = URL_SAFE_NO_PAD.encode(scopes);
        json!({ "token": token, "access_token": token, "expires_in": 300 })
    }
}

/// What a request needs a token for.
struct Scope<'a> {
    repository: &'a str,
    actions: &'static str,
}

impl Scope<'_> {
    fn within(&self, held: &str) -> bool {
        held.strip_prefix("repository:")
            .and_then(|held| held.strip_prefix(self.repository))
            .and_then(|held| held.strip_prefix(':'))
            .is_some_and(|held| {
                let mut wanted = self.actions.split(',');
                wanted.all(|action| held.split(',').any(|held| held == action))
            })
    }
}

/// None for the version check, which any token passes.
fn scope<'a>(method: &Method, path: &'a str) -> Option<Scope<'a>> {
    let path = path.strip_prefix("/v2/")?;
    let repository = ["/manifests/", "/blobs/", "/tags/", "/referrers/"]
        .iter()
        .find_map(|part| path.rsplit_once(part))
        .map(|(repository, _)| repository)?;
    let actions = if method == Method::GET || method == Method::HEAD {
        "pull"
    } else {
        "pull,push"
    };
    Some(Scope {
        repository,
        actions,
    })
}
