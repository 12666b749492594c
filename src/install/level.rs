//! How much of the gates an installation sets up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// The authorization plugin alone: what requests name is judged.
    Plugin,
    /// Also the mirror and the proxy: what the engine fetches is judged.
    Standard,
    /// Also inside of TLS, for containers' own traffic, and in front of the engine's socket.
    Strict,
}

// === impl Level ===

impl Level {
    /// Whether mirror and proxy are set up.
    pub(crate) const fn steers(self) -> bool {
        match self {
            Self::Plugin => false,
            Self::Standard | Self::Strict => true,
        }
    }

    /// Why this version does not set this level up.
    pub(crate) const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Plugin | Self::Standard => None,
            Self::Strict => Some(
                "`--level strict` cannot be set up by this version: a certificate authority for the engine, rules for what \
                 containers fetch themselves and a gate in front of the engine's socket are not part of the installation yet; use \
                 `--level standard`",
            ),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plugin => "plugin",
            Self::Standard => "standard",
            Self::Strict => "strict",
        })
    }
}
