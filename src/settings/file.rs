//! The settings file as it is written. Its defaults are those of the contract.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// The registry gate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct MirrorPart {
    pub(crate) enabled: bool,
    /// `address:port`.
    pub(crate) listen: String,
    /// `file:///directory`, or `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`. Default: `mirror` in the state
    /// directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage: Option<String>,
    /// What the object store's client is told, as `region`, `endpoint` or, with the name of a file, `secret-access-key-file`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) storage_options: BTreeMap<String, String>,
    /// Most bytes kept in a directory, as `50GiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_size: Option<String>,
    /// What is never evicted, as `docker.io/library/alpine`, `ghcr.io/acme/**` or `ghcr.io/acme/app:1.2`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pin: Vec<String>,
    /// How long a tag is taken to point where it did, as `60s`.
    pub(crate) tag_ttl: String,
    /// How long what is cached is served while the upstream fails, as `24h`.
    pub(crate) stale_if_error: String,
    /// How long a manifest that the upstream does not have is taken to be absent, as `10s`.
    pub(crate) absent_ttl: String,
    /// What ramgate logs in with, by registry or by a prefix of its repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) credentials: Vec<LoginPart>,
    /// A docker command line's `config.json`, asked where `credentials` has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) docker_config: Option<String>,
    /// Where registries are really reached, by the registry's name.
    pub(crate) upstreams: BTreeMap<String, UpstreamPart>,
}

/// Where a registry is really reached.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct UpstreamPart {
    /// `https://host[:port]`; plain `http://` is taken only if written here.
    pub(crate) url: String,
    /// With `password-file`: what ramgate logs in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// A file with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<String>,
    /// Instead: `NAME` of a program `docker-credential-NAME` that knows what to log in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credential_helper: Option<String>,
    /// A PEM file with the certificate authorities of this upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<String>,
    /// Hosts of token services that may be given this upstream's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) token_realms: Vec<String>,
    /// Hosts that this upstream may redirect to for its content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) redirect_hosts: Vec<String>,
}

/// What ramgate logs in with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LoginPart {
    /// A registry, as `ghcr.io`, or the beginning of its repositories, as `ghcr.io/acme/`. The longest counts.
    pub(crate) prefix: String,
    /// With `password-file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// A file with the password, read whenever it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<String>,
    /// Instead: `NAME` of a program `docker-credential-NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credential_helper: Option<String>,
}

/// The network gate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct EgressPart {
    pub(crate) enabled: bool,
    /// `address:port`.
    pub(crate) listen: String,
    /// Whether TLS to registries is terminated.
    pub(crate) inspect: bool,
    /// Takes what containers fetch by themselves, once `ramgate egress nft apply` sends it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transparent: Option<TransparentPart>,
    /// A proxy of the site, behind which the gate stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream_proxy: Option<UpstreamProxyPart>,
}

/// What is captured on its way, and where it is taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct TransparentPart {
    /// `address:port`; `[::]` is both families.
    pub(crate) listen: String,
    /// Where containers' packets come from: `kind:bridge`, a name as `docker0`, the beginning of names as `br-*`, or `*`.
    pub(crate) interfaces: Vec<String>,
    /// Ports that are captured.
    pub(crate) ports: Vec<u16>,
    /// Networks that are left alone, as `10.244.0.0/16`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) except: Vec<String>,
    /// The group that ramgate runs in, whose connections are not captured by `--host`.
    pub(crate) exempt_group: String,
}

/// A proxy of the site.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct UpstreamProxyPart {
    /// `http://host:port`.
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<String>,
    /// What is reached without it, as in `NO_PROXY`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) no_proxy: Vec<String>,
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

/// Prometheus metrics, and whether ramgate is alive and ready.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct MetricsPart {
    pub(crate) enabled: bool,
    /// `address:port`.
    pub(crate) listen: String,
}

/// The audit log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct AuditPart {
    /// One JSON object a decision.
    pub(crate) path: String,
    /// The size at which the file is moved away and begun anew, as `100MiB`; `0` leaves that to others.
    pub(crate) max_size: String,
    /// How many files that were moved away are kept.
    pub(crate) keep: u32,
    /// Whether each write is on the disk before the next: a host that loses power then loses no decision that was followed by
    /// another.
    pub(crate) sync: bool,
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

impl Default for MirrorPart {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: "127.0.0.1:5050".to_owned(),
            storage: None,
            storage_options: BTreeMap::new(),
            max_size: None,
            pin: Vec::new(),
            tag_ttl: "60s".to_owned(),
            stale_if_error: "24h".to_owned(),
            absent_ttl: "10s".to_owned(),
            credentials: Vec::new(),
            docker_config: None,
            upstreams: BTreeMap::new(),
        }
    }
}

impl Default for TransparentPart {
    fn default() -> Self {
        Self {
            listen: "[::]:5054".to_owned(),
            interfaces: vec!["kind:bridge".to_owned(), "kind:veth".to_owned()],
            ports: vec![80, 443],
            except: Vec::new(),
            exempt_group: "ramgate".to_owned(),
        }
    }
}

impl Default for EgressPart {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: "127.0.0.1:5051".to_owned(),
            inspect: false,
            transparent: None,
            upstream_proxy: None,
        }
    }
}

impl Default for MetricsPart {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: "127.0.0.1:5053".to_owned(),
        }
    }
}

impl Default for AuditPart {
    fn default() -> Self {
        Self {
            path: "/var/log/ramgate/audit.jsonl".to_owned(),
            max_size: "100MiB".to_owned(),
            keep: 5,
            sync: false,
        }
    }
}
