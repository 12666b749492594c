//! A line of the audit log, as far as it is shown.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A decision.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    pub(super) timestamp: Timestamp,
    gate: String,
    decision: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    registry: Option<String>,
    #[serde(default)]
    repository: Option<String>,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    principal: Option<String>,
}

/// What a decision was about: lines with the same are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(super) struct Matter {
    /// A repository, or a host where no repository was seen; empty for what could not be read.
    pub(super) name: String,
    pub(super) decision: String,
    pub(super) reason: String,
    pub(super) gate: String,
}

// === impl Line ===

impl Line {
    /// Reads a line; `None` for what is none, as the last one that is still being written.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn is_denied(&self) -> bool {
        self.decision == "deny"
    }

    pub(super) fn into_matter(self) -> Matter {
        Matter {
            name: self.name(),
            decision: self.decision,
            reason: self.reason.unwrap_or_default(),
            gate: self.gate,
        }
    }

    fn name(&self) -> String {
        let registry = self.registry.as_deref().unwrap_or_default();
        match self.repository.as_deref() {
            None | Some("") => registry.to_owned(),
            Some(repository) => format!("{registry}/{repository}"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = self.tag.as_deref().filter(|tag| !tag.is_empty());
        write!(
            formatter,
            "{:.0} {:5} {:6} {}{}{}",
            self.timestamp,
            self.decision,
            self.gate,
            shown(&self.name()),
            if tag.is_some() { ":" } else { "" },
            tag.unwrap_or_default(),
        )?;
        for (key, value) in [
            ("action", &self.action),
            ("reason", &self.reason),
            ("by", &self.principal),
        ] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                write!(formatter, " {key}={value}")?;
            }
        }
        Ok(())
    }
}

/// `name`, or a word for none.
pub(super) fn shown(name: &str) -> &str {
    if name.is_empty() { "-" } else { name }
}
