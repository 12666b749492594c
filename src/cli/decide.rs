//! `ramgate decide`: one authorization request, one answer.

use std::io::{self, Read as _};

use clap::Args;
use tracing::level_filters::LevelFilter;

use super::{CommandError, Outcome, SettingsArgument, say};
use crate::live_policy::LivePolicy;
use crate::serve::{authorizer, mirror_names};
use crate::telemetry;

/// Answer one authorization request from stdin, as the plugin would.
///
/// Reads the JSON that a Docker Engine sends to `/AuthZPlugin.AuthZReq` and prints the plugin's answer. The exit code says
/// the same: 0 allowed, 2 denied.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  echo '{\"RequestMethod\":\"POST\",\"RequestUri\":\"/v1.45/images/create?fromImage=alpine&tag=3\",\
                        \"RequestHeaders\":{\"Content-Length\":\"0\"}}' | ramgate decide"
)]
pub(super) struct Decide {
    #[command(flatten)]
    settings: SettingsArgument,
}

// === impl Decide ===

impl Decide {
    pub(super) fn run(&self, log: LevelFilter) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        let policy = LivePolicy::load(&settings.policy_path, mirror_names(&settings))?;
        telemetry::start(log, None)?;
        let mut request = Vec::new();
        io::stdin()
            .take(REQUEST_SIZE_MAX_BYTES)
            .read_to_end(&mut request)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let answer = runtime.block_on(authorizer(&settings, &policy).authorize(&request));
        say(String::from_utf8_lossy(&answer.to_json()))?;
        Ok(if answer.is_allowed() {
            Outcome::Done
        } else {
            Outcome::Denied
        })
    }
}

/// A little over what the plugin itself takes, so that it is the plugin that refuses a larger one.
const REQUEST_SIZE_MAX_BYTES: u64 = 9 * 1024 * 1024;
