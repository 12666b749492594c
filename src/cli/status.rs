//! `ramgate status`: how it is, on one screen.

mod found;
mod gate;
mod shown;

use clap::Args;
use found::Found;

use super::{CommandError, Outcome, SettingsArgument, say};

/// Show how ramgate and the engine are, on one screen.
///
/// The exit code is 0 if ramgate runs with the policy as it is in its file, the gates that the settings enable take connections,
/// the firewall sends them what the settings say, and the engine answers and asks ramgate; else 1. Whether nothing gets past it,
/// `ramgate doctor` says.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    settings: SettingsArgument,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

// === impl Status ===

impl Status {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let found = runtime.block_on(Found::find(&settings));
        if self.json {
            say(found.json(&settings))?;
        } else {
            shown::show(&found, &settings)?;
        }
        if found.is_well(&settings) {
            Ok(Outcome::Done)
        } else {
            Ok(Outcome::Failed)
        }
    }
}
