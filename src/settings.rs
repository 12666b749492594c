//! The settings, `/etc/ramgate/settings.json`: where the gates listen, what they fetch from, where they keep things.
//!
//! What is allowed stands in the policy, not here. Every key is optional; [`file::SettingsFile`]'s defaults are the contract.

mod catalog;
mod check;
mod credentials;
mod egress;
pub(crate) mod file;
mod mirror;
mod quantity;
mod storage;
mod telemetry;

pub(crate) use quantity::duration;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use ramgate_mirror::{Login, LoginSource};
use ramgate_mirror::{Pin, Url};
use ramgate_policy::Registry;
use ramgate_policy::document::Findings;
use thiserror::Error;

use crate::audit_file::AuditFile;
pub(crate) use catalog::Catalog;
pub(crate) use egress::{Egress, Transparent, UpstreamProxy};
pub(crate) use file::LogTo;
pub(crate) use telemetry::Otlp;

/// Settings in force.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) policy_path: PathBuf,
    pub(crate) state_dir: PathBuf,
    pub(crate) engine_socket: PathBuf,
    /// `None` where the gate is switched off.
    pub(crate) plugin_socket: Option<PathBuf>,
    pub(crate) mirror: Option<Mirror>,
    pub(crate) egress: Option<Egress>,
    pub(crate) catalog: Catalog,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) audit: AuditFile,
    /// Whether the journal is told each decision too.
    pub(crate) audit_journal: bool,
    pub(crate) log_to: LogTo,
    pub(crate) otlp: Option<Otlp>,
}

/// The mirror's part.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    pub(crate) listen: SocketAddr,
    pub(crate) storage: Storage,
    pub(crate) max_size_bytes: Option<u64>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) tag_ttl: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) absent_ttl: Duration,
    pub(crate) upstreams: BTreeMap<Registry, Upstream>,
    /// Those of upstreams too.
    pub(crate) logins: Vec<Login>,
    pub(crate) docker_config: Option<PathBuf>,
}

/// Where the mirror keeps things.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    Directory(PathBuf),
    Bucket {
        url: Url,
        options: BTreeMap<String, StorageOption>,
        spool: PathBuf,
    },
}

// === impl Storage ===

impl Storage {
    /// What it takes of this host's disk: all of it, or what is on its way to a bucket.
    pub(crate) fn directory(&self) -> &Path {
        match self {
            Self::Directory(directory) => directory,
            Self::Bucket { spool, .. } => spool,
        }
    }
}

/// What the client of an object store is told.
#[derive(Clone)]
pub(crate) enum StorageOption {
    Value(String),
    /// It stands in a file.
    File(PathBuf),
}

/// Where a registry is really reached.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) url: String,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) token_realms: Vec<String>,
    pub(crate) redirect_hosts: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{}", listed(.path, .findings))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        findings: Findings,
    },
}

// === impl Storage ===

impl fmt::Display for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(formatter, "{}", path.display()),
            Self::Bucket { url, .. } => write!(formatter, "{url}"),
        }
    }
}

// === impl StorageOption ===

impl fmt::Debug for StorageOption {
    // It may be a key, although keys belong into files.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => formatter.write_str("Value"),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
        }
    }
}

// === impl Settings ===

impl Settings {
    /// Reads `path`, or the default place. At the default place the file may be missing: then the defaults hold.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        let place = path.unwrap_or_else(|| Path::new(DEFAULT_PATH));
        let text = match read_text(place) {
            Ok(text) => text,
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                "{}".to_owned()
            }
            Err(source) => {
                return Err(SettingsError::Unreadable {
                    path: place.to_owned(),
                    source,
                });
            }
        };
        Self::parse(&text).map_err(|findings| SettingsError::Invalid {
            path: place.to_owned(),
            findings,
        })
    }

    /// Reads the text of a settings file.
    pub(crate) fn parse(text: &str) -> Result<Self, Findings> {
        check::settings(text)
    }
}

/// The text of a file that people write.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::InvalidData {
            let problem = "this is no text in UTF-8; is it the file that is meant?";
            return std::io::Error::new(error.kind(), problem);
        }
        error
    })
}

/// One finding a line, each with the file, so that editors can jump to it.
pub(crate) fn listed(path: &Path, findings: &Findings) -> String {
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("{}: {finding}", path.display()))
        .collect();
    lines.join("\n")
}

/// Where the settings are unless `--settings` says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/etc/ramgate/settings.json";
