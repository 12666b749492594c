//! Images that come to be without a pull.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way in which an image comes to be without a pull: the keys of `local-images`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LocalImage {
    /// `docker build`, classic or BuildKit.
    Build,
    /// A builder in a container, as `docker buildx create` makes it.
    Builder,
    /// `docker load`, and `docker plugin create`.
    Load,
    /// `docker import`.
    Import,
    /// `docker commit`.
    Commit,
    /// `docker tag`.
    Tag,
    /// An image of which it is not known where it came from.
    Unknown,
}

/// What the policy says of such an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LocalRule {
    /// Always.
    Allow,
    /// While the mirror and the egress gate are in force.
    Gated,
    /// Never.
    Deny,
}

// === impl LocalImage ===

impl LocalImage {
    /// The key of the policy.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Builder => "builder",
            Self::Load => "load",
            Self::Import => "import",
            Self::Commit => "commit",
            Self::Tag => "tag",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for LocalImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Build => "building images",
            Self::Builder => "a builder in a container, which fetches past the daemon,",
            Self::Load => "loading images",
            Self::Import => "importing images",
            Self::Commit => "committing containers to images",
            Self::Tag => "tagging images",
            Self::Unknown => "using images of unknown origin",
        })
    }
}
