//! What the engine says of itself, and whether it asks ramgate, which no engine is believed: a request that ramgate always denies
//! is sent to it.

use std::path::Path;

use anyhow::{Context as _, bail};
use hyper::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::unix;

/// What the engine says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineReport {
    pub(crate) version: String,
    pub(crate) api_version: String,
    pub(crate) info: Info,
}

/// The part of `GET /info` that matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Info {
    pub(crate) http_proxy: String,
    pub(crate) https_proxy: String,
    pub(crate) no_proxy: String,
    pub(crate) docker_root_dir: String,
    pub(crate) security_options: Option<Vec<String>>,
    registry_config: Option<RegistryConfig>,
    driver_status: Option<Vec<(String, String)>>,
    swarm: Option<Swarm>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RegistryConfig {
    mirrors: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Swarm {
    local_node_state: String,
}

/// `GET /version`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    api_version: String,
}

/// Whether the engine asks ramgate before it acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Chain {
    /// It does: ramgate denied what was sent, under this name of the plugin, and with this ID of the decision.
    Asked { plugin: String, id: String },
    /// It acted without.
    NotAsked,
    /// It was refused by something that is not ramgate, or ramgate could not be reached; the engine's words.
    Broken(String),
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

// === impl EngineReport ===

impl EngineReport {
    /// Asks the engine at `socket`.
    pub(crate) async fn ask(socket: &Path) -> anyhow::Result<Self> {
        let version: Version = ask(socket, "/version").await?;
        Ok(Self {
            version: version.version,
            api_version: version.api_version,
            info: ask(socket, "/info").await?,
        })
    }

    /// Whether it answers BuildKit over gRPC before it asks any plugin: since 29.2, with API 1.53; 29.0 is counted in.
    pub(crate) fn speaks_grpc(&self) -> bool {
        let version = self.api_version.split_once('.');
        let version = version.and_then(|(major, minor)| {
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        });
        version.is_none_or(|version| version >= (1, 52))
    }

    /// Whether `docker pull` and BuildKit read `hosts.toml`: since 28.0.
    pub(crate) fn reads_hosts_toml(&self) -> bool {
        let major = self.version.split('.').next();
        major
            .and_then(|major| major.parse::<u32>().ok())
            .is_some_and(|major| major >= 28)
    }
}

// === impl Info ===

impl Info {
    pub(crate) fn mirrors(&self) -> Vec<&str> {
        let config = self.registry_config.iter();
        config
            .flat_map(|config| config.mirrors.iter().flatten())
            .map(|url| url.trim_end_matches('/'))
            .collect()
    }

    pub(crate) fn has_containerd_store(&self) -> bool {
        let mut status = self.driver_status.iter().flatten();
        status.any(|(key, value)| key == "driver-type" && value == "io.containerd.snapshotter.v1")
    }

    pub(crate) fn in_swarm(&self) -> bool {
        let swarm = self.swarm.as_ref();
        swarm.is_some_and(|swarm| !matches!(swarm.local_node_state.as_str(), "" | "inactive"))
    }
}

// === impl Chain ===

impl Chain {
    /// Sends the engine a request that ramgate denies under every policy, and that does nothing where nobody denies it: a
    /// container of no description.
    pub(crate) async fn probe(socket: &Path) -> anyhow::Result<Self> {
        let (status, body) = unix::post(socket, "/containers/create", Vec::new()).await?;
        let message = serde_json::from_slice::<Message>(&body).map_or_else(
            |_| String::from_utf8_lossy(&body).into_owned(),
            |Message { message }| message,
        );
        Ok(Self::read(status, message))
    }

    pub(crate) const fn is_asked(&self) -> bool {
        matches!(self, Self::Asked { .. })
    }

    fn read(status: StatusCode, message: String) -> Self {
        match status {
            StatusCode::FORBIDDEN => Self::denial(&message).unwrap_or(Self::Broken(message)),
            // A plugin that fails is no plugin that was not asked.
            StatusCode::INTERNAL_SERVER_ERROR if message.starts_with("plugin ") => {
                Self::Broken(message)
            }
            _ => Self::NotAsked,
        }
    }

    fn denial(message: &str) -> Option<Self> {
        let (plugin, text) = message
            .strip_prefix("authorization denied by plugin ")?
            .split_once(": ")?;
        let id = text
            .starts_with(WORDS)
            .then(|| text.rsplit_once("(id "))
            .flatten()?
            .1
            .strip_suffix(')')?;
        Some(Self::Asked {
            plugin: plugin.to_owned(),
            id: id.to_owned(),
        })
    }
}

async fn ask<T: DeserializeOwned>(socket: &Path, path: &str) -> anyhow::Result<T> {
    let (status, body) = unix::get(socket, path).await?;
    if status != StatusCode::OK {
        bail!(
            "the engine answers {path} with {status}: {}",
            String::from_utf8_lossy(&body).trim_end()
        );
    }
    serde_json::from_slice(&body)
        .with_context(|| format!("the engine's answer to {path} cannot be read"))
}

/// How ramgate's refusal of a request without a body begins.
const WORDS: &str = "the request cannot be judged and is denied";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, message: &str) -> Chain {
        Chain::read(StatusCode::from_u16(status).unwrap(), message.to_owned())
    }

    #[test]
    fn only_ramgates_own_denial_proves_that_it_is_asked() {
        let denied = "authorization denied by plugin ramgate:latest: the request cannot be judged and is denied: no body (id 00c0ffee)";
        assert_eq!(
            read(403, denied),
            Chain::Asked {
                plugin: "ramgate:latest".to_owned(),
                id: "00c0ffee".to_owned()
            }
        );
        assert_eq!(read(400, "config cannot be empty"), Chain::NotAsked);
        assert_eq!(read(400, "invalid JSON: got EOF"), Chain::NotAsked);
        let other = "authorization denied by plugin opa: no (id 00c0ffee)";
        assert_eq!(read(403, other), Chain::Broken(other.to_owned()));
        let failed = "plugin ramgate failed with error: dial unix";
        assert_eq!(read(500, failed), Chain::Broken(failed.to_owned()));
    }

    #[test]
    fn what_an_engine_can_do_is_told_by_its_version() {
        let report = |version: &str, api_version: &str| EngineReport {
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            info: Info::default(),
        };
        let old = report("20.10.24+dfsg1", "1.41");
        assert!(!old.speaks_grpc() && !old.reads_hosts_toml());
        let today = report("28.5.2+dfsg3", "1.51");
        assert!(!today.speaks_grpc() && today.reads_hosts_toml());
        let next = report("29.3.1", "1.54");
        assert!(next.speaks_grpc() && next.reads_hosts_toml());
        assert!(report("", "").speaks_grpc(), "the worse is assumed");
    }
}
