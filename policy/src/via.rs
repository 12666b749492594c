//! Which way the daemon takes to a registry.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which way the daemon takes to a registry: `via` of `registries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// To the registry itself, through a tunnel of the network gate that shows no repository.
    Direct,
    /// To the registry itself, through the network gate, which reads and judges each request.
    Inspect,
    /// To the mirror, and nowhere else.
    Mirror,
}

// === impl Via ===

impl Via {
    /// The word in a policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Inspect => "inspect",
            Self::Mirror => "mirror",
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
