//! The docker command line's `config.json`: what `docker login` left there, and which helpers it names.
//!
//! Source: docker/cli `cli/config/configfile/file.go`; keys with a path are containers' (`containers-auth.json(5)`).

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ramgate_policy::{Registry, Repository};
use serde::Deserialize;

use super::helper::Helpers;
use super::{CredentialsError, Secret, is_within, read, server};

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: String,
}

/// What the file at `path` has for `repository`: its helper, then its store, then what stands in it.
pub(super) async fn find(
    path: &Path,
    repository: &Repository,
    helpers: &Helpers,
) -> Result<Option<Secret>, CredentialsError> {
    let text = read(path, SIZE_MAX_BYTES).await?;
    let file: File =
        serde_json::from_str(&text).map_err(|_| CredentialsError::DockerConfig(path.to_owned()))?;
    let server = server(repository.registry());
    if let Some(name) = nearest(&file.helpers, repository) {
        return Ok(helpers.ask(name, &server).await?);
    }
    if let Some(name) = file.store.as_deref().filter(|name| !name.is_empty())
        && let Some(secret) = helpers.ask(name, &server).await?
    {
        return Ok(Some(secret));
    }
    match nearest(&file.auths, repository).map(Auth::secret) {
        Some(Err(())) => Err(CredentialsError::DockerConfig(path.to_owned())),
        Some(Ok(secret)) => Ok(secret),
        None => Ok(None),
    }
}

/// The entry whose key covers the repository and is the longest.
fn nearest<'a, T>(entries: &'a BTreeMap<String, T>, repository: &Repository) -> Option<&'a T> {
    entries
        .iter()
        .filter_map(|(key, value)| {
            let (registry, path) = key_parts(key)?;
            let covers = registry == *repository.registry() && is_within(repository, path);
            covers.then_some((path.map_or(0, str::len), value))
        })
        .max_by_key(|(length, _)| *length)
        .map(|(_, value)| value)
}

/// A key as registry and path: `ghcr.io`, `https://index.docker.io/v1/`, `ghcr.io/acme`.
fn key_parts(key: &str) -> Option<(Registry, Option<&str>)> {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let (host, path) = match key.split_once('/') {
        Some((host, path)) => (host, path.trim_end_matches('/')),
        None => (key, ""),
    };
    let path = Some(path).filter(|path| !matches!(*path, "" | "v1" | "v2"));
    Some((host.parse().ok()?, path))
}

// === impl Auth ===

impl Auth {
    /// What stands here; nothing, where a store has it.
    fn secret(&self) -> Result<Option<Secret>, ()> {
        if !self.identity_token.is_empty() {
            return Ok(Some(Secret::Identity(self.identity_token.clone())));
        }
        if !self.auth.is_empty() {
            let decoded = STANDARD.decode(&self.auth).map_err(|_| ())?;
            let text = String::from_utf8(decoded).map_err(|_| ())?;
            // docker pads with NUL what it wrote long ago.
            let (username, password) = text.trim_end_matches('\0').split_once(':').ok_or(())?;
            return Ok(Some(Secret::Password {
                username: username.to_owned(),
                password: password.to_owned(),
            }));
        }
        let written = !self.username.is_empty();
        Ok(written.then(|| Secret::Password {
            username: self.username.clone(),
            password: self.password.clone(),
        }))
    }
}

/// Some hundred logins.
const SIZE_MAX_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(config: &str, registry: &str, path: &str) -> Result<Option<Secret>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, config).unwrap();
        let repository = Repository::new(registry.parse().unwrap(), path).unwrap();
        find(&file, &repository, &Helpers::default())
            .await
            .map_err(|error| error.to_string())
    }

    fn password(username: &str, password: &str) -> Option<Secret> {
        Some(Secret::Password {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }

    #[tokio::test]
    async fn what_docker_login_left_is_found() {
        let config = r#"{
            "auths": {
                "https://index.docker.io/v1/": { "auth": "aHViOnNlY3JldDp3aXRoLWNvbG9u" },
                "ghcr.io": { "username": "octo", "password": "cat" },
                "ghcr.io/acme": { "identitytoken": "refresh" },
                "https://quay.io/v2/": {},
                "broken.example": { "auth": "!!" }
            },
            "HttpHeaders": { "User-Agent": "x" }
        }"#;
        let check = async |registry: &str, path: &str, expected: Option<Secret>| {
            assert_eq!(found(config, registry, path).await, Ok(expected), "{path}");
        };
        check("docker.io", "acme/x", password("hub", "secret:with-colon")).await;
        check("ghcr.io", "other/x", password("octo", "cat")).await;
        check(
            "ghcr.io",
            "acme/x",
            Some(Secret::Identity("refresh".to_owned())),
        )
        .await;
        check("ghcr.io", "acme-evil/x", password("octo", "cat")).await;
        check("quay.io", "acme/x", None).await;
        check("elsewhere.example", "acme/x", None).await;
        let broken = found(config, "broken.example", "x").await.unwrap_err();
        assert!(broken.ends_with("is no docker configuration"), "{broken}");
    }

    #[tokio::test]
    async fn a_helper_that_is_named_and_not_there_is_said() {
        let config = r#"{ "credHelpers": { "ghcr.io": "no-such-helper-here" } }"#;
        let missing = found(config, "ghcr.io", "acme/x").await.unwrap_err();
        assert!(missing.contains("no-such-helper-here"), "{missing}");
        assert_eq!(found(config, "quay.io", "acme/x").await, Ok(None));
        assert!(found("{", "quay.io", "acme/x").await.is_err());
    }
}
