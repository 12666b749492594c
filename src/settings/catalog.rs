//! `catalog`: where Docker Hub's categories are asked for.

use std::path::PathBuf;
use std::time::Duration;

use ramgate_catalog::TrustedKey;

use super::check::Check;
use super::file::CatalogPart;
use super::quantity;

/// The catalogue's part.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    /// Docker Hub's API; `None`: nobody is asked.
    pub(crate) url: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) ttl: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) stale: Duration,
    /// Who may sign bundles.
    pub(crate) trusted_keys: Vec<TrustedKey>,
}

// === impl Check ===

impl Check<'_> {
    pub(super) fn catalog(&mut self, part: Option<&CatalogPart>) -> Option<Catalog> {
        let default = CatalogPart::default();
        let part = part.unwrap_or(&default);
        let url = self.endpoint(part.url.as_deref().unwrap_or(DOCKER_HUB_API), "catalog.url");
        let mut duration = |text: &Option<String>, default, key| {
            let text = text.as_deref().unwrap_or(default);
            self.read(quantity::duration(text), key)
        };
        let ttl = duration(&part.ttl, "24h", "catalog.ttl");
        let negative_ttl = duration(&part.negative_ttl, "1h", "catalog.negative-ttl");
        let stale = duration(
            &part.stale_while_revalidate,
            "24h",
            "catalog.stale-while-revalidate",
        );
        let ca_file = match &part.ca_file {
            Some(file) => Some(self.path(file, "catalog.ca-file")?),
            None => None,
        };
        let mut trusted_keys = Vec::new();
        for (index, key) in part.trusted_keys.iter().enumerate() {
            let read = key
                .parse::<TrustedKey>()
                .map_err(|error| format!("`{key}`: {error}"));
            trusted_keys.extend(self.read(read, &format!("catalog.trusted-keys[{index}]")));
        }
        Some(Catalog {
            url: Some(url?).filter(|_| part.online.unwrap_or(true)),
            ca_file,
            ttl: ttl?,
            negative_ttl: negative_ttl?,
            stale: stale?,
            trusted_keys,
        })
    }
}

const DOCKER_HUB_API: &str = "https://hub.docker.com";
