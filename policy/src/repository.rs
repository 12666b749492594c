//! A repository as it is judged: registry and path, whatever spelling named it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::host::Registry;
use crate::reference::{self, InvalidReference, Reference};

/// A repository as judged. On Docker Hub a path of one component lies under `library/`, as dockerd has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Repository {
    registry: Registry,
    path: String,
}

// === impl Repository ===

impl Repository {
    /// The repository `path` of `registry`.
    ///
    /// # Errors
    /// [`InvalidReference`] when `path` is no repository path.
    pub fn new(registry: Registry, path: &str) -> Result<Self, InvalidReference> {
        reference::check_path(path)?;
        let official = registry.is_docker_hub() && !path.contains('/');
        let path = if official {
            format!("{OFFICIAL_NAMESPACE}/{path}")
        } else {
            path.to_owned()
        };
        Ok(Self { registry, path })
    }

    /// The registry.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The path below the registry, lower-case, without slash at either end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The first component of the path: on Docker Hub the organization, user or `library`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

impl FromStr for Repository {
    type Err = InvalidReference;

    /// Reads any reference, familiar or canonical, and keeps its repository.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Reference>()?.repository()
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.to_string()
    }
}

impl TryFrom<String> for Repository {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.path)
    }
}

/// Docker Hub's namespace of Docker Official Images.
pub const OFFICIAL_NAMESPACE: &str = "library";
