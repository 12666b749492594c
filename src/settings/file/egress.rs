//! `egress`, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

// === impl Default ===

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
