//! `ramgate serve`: run the gates.

use clap::Args;
use tracing::level_filters::LevelFilter;

use super::{CommandError, Outcome, SettingsArgument};
use crate::live_policy::LivePolicy;
use crate::serve::{mirror_names, serve};
use crate::telemetry::{self, Telemetry};

/// Run the gates that the settings enable, until SIGTERM.
///
/// The policy is read again on SIGHUP and when its file changes; an invalid one never replaces a good one. The engine need
/// not be there yet.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: SettingsArgument,
}

// === impl Serve ===

impl Serve {
    pub(super) fn run(&self, log: LevelFilter) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        let policy = LivePolicy::load(&settings.policy_path, mirror_names(&settings))?;
        let Telemetry { audit, exporter } =
            telemetry::start(log, &settings).map_err(CommandError::Failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(serve(settings, policy, exporter));
        // Tunnels that outlived their grace are cut here.
        runtime.shutdown_background();
        drop(audit);
        result.map(|()| Outcome::Done).map_err(CommandError::Failed)
    }
}
