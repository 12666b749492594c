//! What a catalogue is made with.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

/// Where a catalogue asks, and how long it believes the answers.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file with what is known; `None`: in memory alone.
    pub path: Option<PathBuf>,
    /// Docker Hub's API: scheme, host and port. `None`: nobody is asked, and only bundles count.
    pub url: Option<Url>,
    /// Its certificate authorities in PEM, beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// How long a category is believed.
    pub ttl: Duration,
    /// How long it is believed that a namespace has none.
    pub negative_ttl: Duration,
    /// How long an expired entry is used while Docker Hub is asked again.
    pub stale: Duration,
    /// How long a decision waits for Docker Hub. Well under the five seconds that the engine gate has for a request.
    pub patience: Duration,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            path: None,
            url: None,
            ca_pem: None,
            ttl: Duration::from_hours(24),
            negative_ttl: Duration::from_hours(1),
            stale: Duration::from_hours(24),
            patience: Duration::from_secs(2),
        }
    }
}
