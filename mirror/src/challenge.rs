//! What a registry wants when it answers 401: the challenge, and whether its token service may be asked.

use reqwest::Url;
use thiserror::Error;

use crate::upstream::names;

/// A bearer challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) realm: Url,
    pub(crate) service: Option<String>,
}

/// Why a challenge is not met.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidChallenge {
    /// Neither Bearer nor Basic, or unreadable.
    #[error("the upstream wants an authentication that is not known")]
    Unreadable,
    /// The token service is none of the registry's.
    #[error(
        "the upstream sends for its token to `{0}`, which is not bound to it; if that is right, add it to token-realms"
    )]
    ForeignRealm(String),
}

// === impl Challenge ===

impl Challenge {
    /// Reads a `WWW-Authenticate` header.
    pub(crate) fn parse(header: &str) -> Result<Self, InvalidChallenge> {
        let (scheme, parameters) = header.split_once(' ').ok_or(InvalidChallenge::Unreadable)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(InvalidChallenge::Unreadable);
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = parameters.trim_start();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(InvalidChallenge::Unreadable)?;
            let (value, after) = value(after).ok_or(InvalidChallenge::Unreadable)?;
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                _ => {}
            }
            rest = after.trim_start_matches([',', ' ', '\t']);
        }
        let realm = realm
            .and_then(|realm| Url::parse(&realm).ok())
            .ok_or(InvalidChallenge::Unreadable)?;
        Ok(Self { realm, service })
    }

    /// Whether the token service belongs to the registry at `upstream`.
    ///
    /// INVARIANT(realm): a hostile or hijacked upstream must not make us send credentials, or requests at all, to a host of
    /// its choice (the class of CVE-2026-33540).
    pub(crate) fn bound_to(
        self,
        upstream: &Url,
        token_realms: &[String],
    ) -> Result<Self, InvalidChallenge> {
        let authority = |url: &Url| {
            (
                url.host_str().map(str::to_ascii_lowercase),
                url.port_or_known_default(),
            )
        };
        let host = authority(&self.realm).0.unwrap_or_default();
        let named = token_realms.iter().any(|name| names(name, &self.realm));
        let known = KNOWN_REALMS
            .iter()
            .any(|(registry, realm)| upstream.host_str() == Some(registry) && *realm == host);
        let own = authority(&self.realm) == authority(upstream);
        let safe = self.realm.scheme() == "https"
            || (self.realm.scheme() == "http" && upstream.scheme() == "http");
        let plain = self.realm.username().is_empty() && self.realm.password().is_none();
        if safe && plain && (own || known || named) {
            Ok(self)
        } else {
            Err(InvalidChallenge::ForeignRealm(host))
        }
    }
}

/// Reads a token or a quoted string at the start of `text`.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return text
            .split_at_checked(end)
            .map(|(value, rest)| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(letters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Registries whose token service has another host. Sources: the registries' own challenges, as their documentation shows
/// them (docker/docs `allow-list.md`; NVIDIA NGC and GitLab container registry guides), August 2026.
const KNOWN_REALMS: [(&str, &str); 4] = [
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("nvcr.io", "authn.nvidia.com"),
    ("registry.redhat.io", "sso.redhat.com"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(header: &str, upstream: &str, realms: &[&str]) -> Result<String, InvalidChallenge> {
        let realms: Vec<String> = realms.iter().map(ToString::to_string).collect();
        let challenge = Challenge::parse(header)?;
        challenge
            .bound_to(&Url::parse(upstream).unwrap(), &realms)
            .map(|challenge| challenge.realm.to_string())
    }

    #[test]
    fn a_challenge_is_read() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull""#;
        let challenge = Challenge::parse(header).unwrap();
        assert_eq!(challenge.realm.as_str(), "https://auth.docker.io/token");
        assert_eq!(challenge.service.as_deref(), Some("registry.docker.io"));
        for unreadable in [
            "",
            "Bearer",
            "Basic realm=\"x\"",
            "Bearer realm",
            "Bearer realm=\"https://x",
            "Bearer service=\"x\"",
        ] {
            assert_eq!(
                Challenge::parse(unreadable),
                Err(InvalidChallenge::Unreadable),
                "{unreadable}"
            );
        }
    }

    #[test]
    fn a_realm_is_bound_to_its_registry() {
        let realm = |url: &str| format!("Bearer realm=\"{url}\"");
        assert!(
            bound(
                &realm("https://auth.docker.io/token"),
                "https://registry-1.docker.io",
                &[]
            )
            .is_ok()
        );
        assert!(bound(&realm("https://ghcr.io/token"), "https://ghcr.io", &[]).is_ok());
        assert!(
            bound(
                &realm("https://tokens.example/t"),
                "https://r.example",
                &["tokens.example"]
            )
            .is_ok()
        );
        assert!(
            bound(
                &realm("http://127.0.0.1:5001/token"),
                "http://127.0.0.1:5001",
                &[]
            )
            .is_ok()
        );
        for (url, upstream) in [
            ("https://evil.example/token", "https://registry-1.docker.io"),
            ("https://auth.docker.io/token", "https://ghcr.io"),
            (
                "https://auth.docker.io.evil.example/token",
                "https://registry-1.docker.io",
            ),
            (
                "http://auth.docker.io/token",
                "https://registry-1.docker.io",
            ),
            ("http://ghcr.io/token", "https://ghcr.io"),
            ("https://ghcr.io:8443/token", "https://ghcr.io"),
            ("http://169.254.169.254/latest", "http://r.example"),
            ("file:///etc/passwd", "https://ghcr.io"),
            ("https://user:password@ghcr.io/token", "https://ghcr.io"),
        ] {
            assert!(
                matches!(
                    bound(&realm(url), upstream, &[]),
                    Err(InvalidChallenge::ForeignRealm(_))
                ),
                "{url} of {upstream}"
            );
        }
    }
}
