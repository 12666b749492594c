//! Managed plugins as the engine describes them.

use serde::Deserialize;

/// `GET /plugins/{name}/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Plugin {
    /// What it goes by, whatever that is.
    name: String,
    #[serde(default)]
    plugin_reference: String,
}

// === impl Plugin ===

impl Plugin {
    /// What it was fetched from; its name, if it was made here.
    pub(super) fn reference(self) -> String {
        match self.plugin_reference.is_empty() {
            true => self.name,
            false => self.plugin_reference,
        }
    }
}
