//! `mirror`, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

// === impl Default ===

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
