//! What ramgate itself logs in with: found anew for every use, so that what was rotated is taken up without a restart.
//!
//! INVARIANT(own): nothing that a client sends is among it. INVARIANT(silent): a secret is in no `Debug`, error or event.

mod docker_config;
mod helper;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ramgate_policy::{Registry, Repository};
use thiserror::Error;

pub use self::helper::is_name as is_helper_name;
use self::helper::{HelperError, Helpers};

/// What to log in with for a registry, or for some of its repositories.
#[derive(Clone, Debug)]
pub struct Login {
    /// The registry.
    pub registry: Registry,
    /// A repository or the beginning of some, up to a `/`; without it, all of the registry's.
    pub path: Option<String>,
    /// Where the secret is.
    pub source: LoginSource,
}

/// Where the secret of a login is.
#[derive(Clone, Debug)]
pub enum LoginSource {
    /// In a file, which is read whenever it is needed.
    Password {
        /// The user.
        username: String,
        /// The file.
        password_file: PathBuf,
    },
    /// With a docker credential helper: `ecr-login` for the program `docker-credential-ecr-login`.
    Helper(String),
}

/// All logins.
#[derive(Debug)]
pub(crate) struct Logins {
    logins: Vec<Login>,
    docker_config: Option<PathBuf>,
    helpers: Helpers,
    fingerprints: RandomState,
}

/// What to log in with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Secret {
    /// For Basic, and for a token service.
    Password { username: String, password: String },
    /// A token with which a token service gives others (OAuth2's refresh token).
    Identity(String),
}

/// Why there are no credentials where there should be some.
#[derive(Debug, Error)]
pub(crate) enum CredentialsError {
    /// A file cannot be read.
    #[error("`{}` with credentials cannot be read", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The docker configuration is none.
    #[error("`{}` is no docker configuration", .0.display())]
    DockerConfig(PathBuf),
    /// The helper fails.
    #[error(transparent)]
    Helper(#[from] HelperError),
}

// === impl Login ===

impl Login {
    fn covers(&self, repository: &Repository) -> bool {
        self.registry == *repository.registry() && is_within(repository, self.path.as_deref())
    }
}

/// Whether the repository is `path` or lies below it. A prefix ends at a component: `acme` is not `acme-evil`.
fn is_within(repository: &Repository, path: Option<&str>) -> bool {
    let Some(path) = path.map(|path| path.trim_end_matches('/')) else {
        return true;
    };
    path.is_empty()
        || repository
            .path()
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

// === impl Logins ===

impl Logins {
    pub(crate) fn new(logins: Vec<Login>, docker_config: Option<PathBuf>) -> Self {
        Self {
            logins,
            docker_config,
            helpers: Helpers::default(),
            fingerprints: RandomState::new(),
        }
    }

    /// What to log in with for `repository`, if anything. What is set and cannot be had is an error and not nothing: without
    /// its login a pull would fail in a way that says nothing of why.
    pub(crate) async fn find(
        &self,
        repository: &Repository,
    ) -> Result<Option<Secret>, CredentialsError> {
        let longest = self
            .logins
            .iter()
            .filter(|login| login.covers(repository))
            .max_by_key(|login| login.path.as_ref().map_or(0, String::len));
        match longest.map(|login| &login.source) {
            Some(LoginSource::Password {
                username,
                password_file,
            }) => {
                let password = read(password_file, PASSWORD_SIZE_MAX_BYTES).await?;
                Ok(Some(Secret::Password {
                    username: username.clone(),
                    password: password.trim_end_matches(['\n', '\r']).to_owned(),
                }))
            }
            Some(LoginSource::Helper(name)) => {
                let server = server(repository.registry());
                Ok(self.helpers.ask(name, &server).await?)
            }
            None => match &self.docker_config {
                Some(path) => docker_config::find(path, repository, &self.helpers).await,
                None => Ok(None),
            },
        }
    }

    /// Tells one secret from another without keeping it.
    pub(crate) fn fingerprint(&self, secret: Option<&Secret>) -> u64 {
        self.fingerprints.hash_one(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What docker calls the registry towards credential helpers; Docker Hub by its first address, as `docker login` does.
fn server(registry: &Registry) -> String {
    if registry.is_docker_hub() {
        DOCKER_HUB_SERVER.to_owned()
    } else {
        registry.to_string()
    }
}

/// Reads a file of at most `limit` bytes.
async fn read(path: &Path, limit: u64) -> Result<String, CredentialsError> {
    let place = path.to_owned();
    let read = move || {
        let mut text = String::new();
        let size = std::fs::File::open(place)?
            .take(limit + 1)
            .read_to_string(&mut text)?;
        if size as u64 > limit {
            return Err(std::io::Error::other(format!(
                "it is larger than {limit} bytes"
            )));
        }
        Ok(text)
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
        .map_err(|source| CredentialsError::File {
            path: path.to_owned(),
            source,
        })
}

const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";
/// A password or a key in JSON, as Google's, and room.
const PASSWORD_SIZE_MAX_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(registry: &str, path: &str) -> Repository {
        Repository::new(registry.parse().unwrap(), path).unwrap()
    }

    fn login(registry: &str, path: Option<&str>, username: &str, file: &Path) -> Login {
        Login {
            registry: registry.parse().unwrap(),
            path: path.map(str::to_owned),
            source: LoginSource::Password {
                username: username.to_owned(),
                password_file: file.to_owned(),
            },
        }
    }

    fn username(secret: Option<Secret>) -> Option<String> {
        match secret {
            Some(Secret::Password { username, .. }) => Some(username),
            Some(Secret::Identity(_)) | None => None,
        }
    }

    #[tokio::test]
    async fn the_longest_prefix_counts_and_ends_at_a_component() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "secret\n").unwrap();
        let logins = Logins::new(
            vec![
                login("ghcr.io", None, "all", &file),
                login("ghcr.io", Some("acme/"), "acme", &file),
                login("ghcr.io", Some("acme/deep/app"), "app", &file),
                login("index.docker.io", Some("acme"), "hub", &file),
            ],
            None,
        );
        for (registry, path, expected) in [
            ("ghcr.io", "other/x", Some("all")),
            ("ghcr.io", "acme/x", Some("acme")),
            ("ghcr.io", "acme-evil/x", Some("all")),
            ("ghcr.io", "acme/deep/app", Some("app")),
            ("ghcr.io", "acme/deep/apple", Some("acme")),
            ("ghcr.io:8443", "acme/x", None),
            ("docker.io", "acme/x", Some("hub")),
            ("docker.io", "library/alpine", None),
            ("quay.io", "acme/x", None),
        ] {
            let found = logins.find(&repository(registry, path)).await.unwrap();
            assert_eq!(username(found).as_deref(), expected, "{registry}/{path}");
        }
    }

    #[tokio::test]
    async fn a_password_is_read_anew_and_a_missing_one_is_no_anonymous_pull() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let logins = Logins::new(vec![login("ghcr.io", None, "user", &file)], None);
        let repository = repository("ghcr.io", "acme/x");
        let missing = logins.find(&repository).await.unwrap_err();
        assert!(missing.to_string().contains("password"), "{missing}");
        let mut seen = Vec::new();
        for password in ["first", "second"] {
            std::fs::write(&file, format!("{password}\r\n")).unwrap();
            let secret = logins.find(&repository).await.unwrap();
            assert_eq!(
                secret,
                Some(Secret::Password {
                    username: "user".to_owned(),
                    password: password.to_owned(),
                })
            );
            seen.push(logins.fingerprint(secret.as_ref()));
        }
        assert_ne!(seen[0], seen[1]);
        std::fs::write(&file, "x".repeat(100_000)).unwrap();
        assert!(logins.find(&repository).await.is_err());
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::Password {
            username: "user".to_owned(),
            password: "hunter2".to_owned(),
        };
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
