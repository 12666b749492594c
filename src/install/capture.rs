//! Puts the firewall's rules in force, and takes them out: by their unit where there is systemd.

use std::path::Path;

use anyhow::Context as _;

use super::control::Control;
use super::unit::RULES;
use crate::nft::{Ruleset, TABLE, program};
use crate::settings::{DEFAULT_PATH, Settings};

// === impl Control ===

impl Control {
    /// Puts the rules of the settings in force, in place of those that are, without a moment between.
    pub(super) fn apply_rules(&self) -> anyhow::Result<()> {
        if self.systemd {
            self.forget_failures();
            let applied = self.systemctl(&["reload-or-restart", RULES.name]);
            return applied.context(
                "the firewall does not take the rules: `journalctl --unit ramgate-nft` says why; `--level standard` does without them",
            );
        }
        let settings = Settings::load(Some(Path::new(DEFAULT_PATH)))?;
        let egress = settings.egress.as_ref();
        let transparent = egress.and_then(|egress| egress.transparent.as_ref());
        let transparent = transparent.context("the settings have no `egress.transparent`")?;
        program::load(&Ruleset::new(transparent, None).to_string())
    }

    /// Takes them out; what an administrator has to do where that fails. What else is to be put back must not wait for it.
    pub(super) fn remove_rules(&self) -> Option<String> {
        if self.systemd {
            if let Err(error) = self.systemctl(&["stop", RULES.name]) {
                tracing::debug!(%error, "the unit of the rules could not be stopped");
            }
            self.forget_failures();
        }
        // Somebody may have put them in force without the unit.
        let removed = match program::table() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => program::load(&Ruleset::none()),
            Err(error) => Err(error),
        };
        removed.err().map(|error| {
            format!(
                "the firewall may still send what containers fetch to ramgate, where nobody takes it: {error:#}; take it out with \
                 `nft delete table {TABLE}`"
            )
        })
    }

    /// A unit that failed is remembered by its name, and one that failed often is not started again.
    fn forget_failures(&self) {
        let _ = self.run_quietly(&["systemctl", "reset-failed", RULES.name]);
    }
}
