//! The settings file as it is written. Its defaults are those of the contract.

mod egress;
mod mirror;
mod telemetry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use egress::{EgressPart, TransparentPart, UpstreamProxyPart};
pub(crate) use mirror::{LoginPart, MirrorPart, UpstreamPart};
pub(crate) use telemetry::{AuditPart, LogPart, LogTo, MetricsPart, OtlpPart};

/// ramgate's settings: where the gates listen and where they keep things.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct SettingsFile {
    /// Where the schema of this file is; for editors, ramgate does not read it.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<String>,
    pub(crate) policy: PolicyPart,
    /// Where state is kept: `/var/lib/ramgate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_dir: Option<String>,
    pub(crate) engine: EnginePart,
    pub(crate) plugin: PluginPart,
    pub(crate) mirror: MirrorPart,
    pub(crate) egress: EgressPart,
    /// Where Docker Hub's categories are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) catalog: Option<CatalogPart>,
    /// The web console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) console: Option<ConsolePart>,
    /// Prometheus metrics.
    pub(crate) metrics: MetricsPart,
    pub(crate) audit: AuditPart,
    pub(crate) log: LogPart,
    /// Sends decisions to a collector of OpenTelemetry's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) otlp: Option<OtlpPart>,
}

/// The policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct PolicyPart {
    /// The policy file.
    pub(crate) path: String,
}

/// The Docker Engine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct EnginePart {
    /// Its API socket.
    pub(crate) socket: String,
}

/// The engine gate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct PluginPart {
    pub(crate) enabled: bool,
    /// The authorization plugin's socket.
    pub(crate) socket: String,
}

/// Where Docker Hub's categories are asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct CatalogPart {
    /// Docker Hub's API: `https://hub.docker.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Whether it is asked. If not, categories come from bundles alone. Default `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) online: Option<bool>,
    /// A PEM file with the certificate authorities of `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<String>,
    /// How long a category is believed, as `24h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<String>,
    /// How long it is believed that a namespace has none, as `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) negative_ttl: Option<String>,
    /// How long an expired category is used while Docker Hub is asked again, as `24h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stale_while_revalidate: Option<String>,
    /// Keys whose bundles `ramgate catalog import` takes, as `ramgate catalog keygen` prints them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) trusted_keys: Vec<String>,
}

/// The web console.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ConsolePart {
    pub(crate) enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<String>,
}

// === impl Default ===

impl Default for PolicyPart {
    fn default() -> Self {
        Self {
            path: "/etc/ramgate/policy.json".to_owned(),
        }
    }
}

impl Default for EnginePart {
    fn default() -> Self {
        Self {
            socket: "/run/docker.sock".to_owned(),
        }
    }
}

impl Default for PluginPart {
    fn default() -> Self {
        Self {
            enabled: true,
            socket: "/run/docker/plugins/ramgate.sock".to_owned(),
        }
    }
}
