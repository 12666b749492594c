//! Docker Hub's categories of images.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Docker Hub's categories, as Image Access Management tells them apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Docker Official Images: the namespace `library`.
    Official,
    /// Images of publishers that Docker verified.
    VerifiedPublisher,
    /// Docker-Sponsored Open Source; Docker itself counts it as community.
    SponsoredOpenSource,
    /// All others, and every category that is not known.
    Community,
}

// === impl Category ===

impl Category {
    /// The policy's switch for it.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Official => "docker-hub.official",
            Self::VerifiedPublisher => "docker-hub.verified-publisher",
            Self::SponsoredOpenSource => "docker-hub.sponsored-open-source",
            Self::Community => "docker-hub.community",
        }
    }
}

impl fmt::Display for Category {
    /// The words of Docker's own message, `community images not allowed`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Official => "official",
            Self::VerifiedPublisher => "verified publisher",
            Self::SponsoredOpenSource => "sponsored open source",
            Self::Community => "community",
        })
    }
}
