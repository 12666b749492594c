//! The catalogue of Docker Hub's namespaces as the program keeps it.

mod desk;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ramgate_catalog::{Catalog, CatalogError, Config};

pub(crate) use desk::{Answer, Ask, Desk};

use crate::settings::{self, Settings};

/// Opens the catalogue that the settings describe.
///
/// # Errors
/// When its file or its CA file cannot be read, or another ramgate has it.
pub(crate) fn open(settings: &Settings) -> anyhow::Result<Catalog> {
    let config = config(&settings.catalog, Some(path(settings)))?;
    Catalog::open(config).context("catalog")
}

/// The catalogue for a command that changes nothing: that of the state directory if it can be had, else one in memory.
///
/// # Errors
/// When its CA file cannot be read.
pub(crate) fn open_to_look(settings: &Settings) -> anyhow::Result<Catalog> {
    let path = Some(path(settings)).filter(|path| writable(path));
    let mut config = config(&settings.catalog, path)?;
    match Catalog::open(config.clone()) {
        Err(CatalogError::InUse) => {
            config.path = None;
            Catalog::open(config).context("catalog")
        }
        opened => opened.context("catalog"),
    }
}

/// Where the catalogue is.
fn path(settings: &Settings) -> PathBuf {
    settings.state_dir.join("catalog.redb")
}

fn writable(path: &Path) -> bool {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .is_ok()
}

fn config(settings: &settings::Catalog, path: Option<PathBuf>) -> anyhow::Result<Config> {
    // TLS needs a provider for the process; ring is the one that is built in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca_pem = match &settings.ca_file {
        Some(file) => {
            let read = std::fs::read(file);
            Some(read.with_context(|| format!("catalog.ca-file: {}", file.display()))?)
        }
        None => None,
    };
    let url = match &settings.url {
        Some(url) => Some(url.parse().context("catalog.url")?),
        None => None,
    };
    Ok(Config {
        path,
        url,
        ca_pem,
        ttl: settings.ttl,
        negative_ttl: settings.negative_ttl,
        stale: settings.stale,
        ..Config::default()
    })
}
