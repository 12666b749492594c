//! The settings, `/etc/ramgate/settings.json`: where the gates listen, what they fetch from, where they keep things.
//!
//! What is allowed stands in the policy, not here. Every key is optional; [`file::SettingsFile`]'s defaults are the contract.

mod check;
pub(crate) mod file;
mod quantity;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ramgate_policy::Registry;
use ramgate_policy::document::Findings;
use thiserror::Error;

use crate::audit_file::AuditFile;

/// Settings in force.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) policy_path: PathBuf,
    pub(crate) state_dir: PathBuf,
    pub(crate) engine_socket: PathBuf,
    /// `None` where the gate is switched off.
    pub(crate) plugin_socket: Option<PathBuf>,
    pub(crate) mirror: Option<Mirror>,
    pub(crate) egress_listen: Option<SocketAddr>,
    pub(crate) audit: AuditFile,
    /// Keys that are part of the contract and that this version does not act on yet, as they stand in the file.
    pub(crate) not_yet: Vec<&'static str>,
}

/// The mirror's part.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    pub(crate) listen: SocketAddr,
    pub(crate) storage: PathBuf,
    pub(crate) tag_ttl: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) upstreams: BTreeMap<Registry, Upstream>,
}

/// Where a registry is really reached.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) url: String,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) token_realms: Vec<String>,
}

/// What ramgate itself logs in with.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password_file: PathBuf,
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

// === impl Settings ===

impl Settings {
    /// Reads `path`, or the default place. At the default place the file may be missing: then the defaults hold.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        let place = path.unwrap_or_else(|| Path::new(DEFAULT_PATH));
        let text = match std::fs::read_to_string(place) {
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
