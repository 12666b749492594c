//! What is done with a repository.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a request does with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Content comes in: pull, `FROM`, plugin install, a mirror request.
    Pull,
    /// Content goes out.
    Push,
    /// A container is created or started from it. Needs the right to pull.
    Run,
}

/// A right in a policy's `actions`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Pull, and run what was pulled.
    Pull,
    /// Push.
    Push,
}

// === impl Action ===

impl Action {
    /// The right that this action needs.
    #[must_use]
    pub const fn right(self) -> Right {
        match self {
            Self::Pull | Self::Run => Right::Pull,
            Self::Push => Right::Push,
        }
    }

    /// The word for logs and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Run => "run",
        }
    }
}

// === impl Right ===

impl Right {
    /// The word in a policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
