//! What gates say of an attempt in the audit log.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::target::Target;

/// What the audit log has of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The gates that refused something, in the order that a request comes by them.
    pub(crate) gates: BTreeSet<(u8, &'static str)>,
    /// Whether the registry gate, or inspection, has let something of the target's repository through.
    pub(crate) allowed: bool,
}

// === impl Heard ===

impl Heard {
    /// What lines of the audit log say of an attempt for `target`.
    pub(crate) fn of(audit: &str, target: Target) -> Result<Self> {
        let mut heard = Self::default();
        // The last line may not be whole yet.
        let whole = audit.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for line in whole.lines() {
            let line: Value = serde_json::from_str(line).context("the audit log is JSON")?;
            let said = |key: &str| line.get(key).and_then(Value::as_str);
            match (said("decision"), said("gate").unwrap_or_default()) {
                (Some("deny"), "plugin") => heard.gates.insert((0, "engine")),
                (Some("deny"), "mirror") => heard.gates.insert((1, "registry")),
                (Some("deny"), "egress") => heard.gates.insert((2, "network")),
                (Some("deny"), "inspect") => heard.gates.insert((3, "inspection")),
                (Some("deny"), other) => bail!("no gate is called `{other}`"),
                (_, "plugin") => false,
                _ => {
                    heard.allowed |= said("repository") == Some(target.repository());
                    false
                }
            };
        }
        Ok(heard)
    }
}
