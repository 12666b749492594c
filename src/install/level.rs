//! How much of the gates an installation sets up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much is set up; each includes what is before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// The authorization plugin alone: what requests name is judged.
    Plugin,
    /// Also the mirror and the proxy: what the engine fetches is judged.
    Standard,
    /// Also what goes to registries themselves is read: judged by repository, push included, with the users' own logins. And what
    /// containers fetch by themselves is sent to the network gate.
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

    /// Whether what goes to registries is read on its way.
    pub(crate) const fn inspects(self) -> bool {
        match self {
            Self::Plugin | Self::Standard => false,
            Self::Strict => true,
        }
    }

    /// Whether the firewall sends what containers fetch by themselves to the network gate.
    pub(crate) const fn captures(self) -> bool {
        self.inspects()
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
