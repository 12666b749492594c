//! What is told of ramgate and its decisions: `metrics`, `audit`, `log` and `otlp`, as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Whether the journal is told each decision too.
    pub(crate) journal: bool,
}

/// Where ramgate logs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct LogPart {
    /// `auto`: to the journal if stderr leads there anyway, else to stderr.
    pub(crate) to: LogTo,
}

/// Where a log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogTo {
    /// To the journal, with fields, if stderr leads there; else to stderr.
    #[default]
    Auto,
    /// Lines of text.
    Stderr,
    /// The journal, with fields.
    Journal,
}

/// A collector of OpenTelemetry's, to which decisions are sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct OtlpPart {
    /// `https://host[:port][/path]`; `/v1/logs` and `/v1/traces` are added.
    pub(crate) endpoint: String,
    /// A file of headers, `Name: value` a line, as for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) headers_file: Option<String>,
    /// A PEM file with the certificate authorities of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<String>,
    /// Whether each decision is a record of a log. Default `true`.
    #[serde(default = "yes")]
    pub(crate) logs: bool,
    /// Whether each decision is a span of a trace. Default `true`.
    #[serde(default = "yes")]
    pub(crate) traces: bool,
}

const fn yes() -> bool {
    true
}

// === impl Default ===

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
            journal: false,
        }
    }
}
