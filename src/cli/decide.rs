//! `ramgate decide`: one authorization request, one answer.

use std::io::{self, Read as _};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::Args;
use ramgate_plugin::{Authorizer, Identity};
use ramgate_provenance::{Canaries, Ledger, LedgerError};
use serde::Deserialize;
use tracing::level_filters::LevelFilter;

use super::{CommandError, Outcome, SettingsArgument, say};
use crate::live_policy::LivePolicy;
use crate::serve::{ledger_path, mirror_names, registrar};
use crate::settings::Settings;
use crate::{catalog, telemetry, unix};

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

/// The part of the plugin's answer that counts.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verdict {
    allow: bool,
}

// === impl Decide ===

impl Decide {
    pub(super) fn run(&self, log: LevelFilter) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        let policy = LivePolicy::load(&settings.policy_path, mirror_names(&settings))?;
        telemetry::start_on_stderr(log);
        let mut request = Vec::new();
        io::stdin()
            .take(REQUEST_SIZE_MAX_BYTES)
            .read_to_end(&mut request)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let answer = runtime
            .block_on(decide(&settings, &policy, &request))
            .map_err(CommandError::Failed)?;
        say(String::from_utf8_lossy(&answer))?;
        let verdict: Verdict =
            serde_json::from_slice(&answer).map_err(|error| CommandError::Failed(error.into()))?;
        Ok(if verdict.allow {
            Outcome::Done
        } else {
            Outcome::Denied
        })
    }
}

/// The answer in JSON. What images are stands in the ledger; where a running ramgate has it open, that one is asked.
async fn decide(
    settings: &Settings,
    policy: &LivePolicy,
    request: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let path = ledger_path(settings);
    let ledger = if path.exists() {
        match Ledger::open(&path) {
            Ok(opened) => opened.ledger,
            Err(LedgerError::InUse) => return ask_running(settings, request).await,
            Err(error) => return Err(error.into()),
        }
    } else {
        Ledger::in_memory()?
    };
    let registrar = registrar(settings, Arc::new(ledger), Canaries::default())?;
    let catalog = catalog::open_to_look(settings)?;
    let identity = Identity::new(registrar.clone()).with_catalog(catalog.clone());
    let authorizer = Authorizer::new(policy.current(), registrar, identity).with_catalog(catalog);
    Ok(authorizer.authorize(request).await.to_json().into())
}

async fn ask_running(settings: &Settings, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    let socket = settings.plugin_socket.as_deref();
    let socket = socket.context("a running ramgate has the ledger open, and no plugin to ask")?;
    let (status, answer) = unix::post(socket, "/AuthZPlugin.AuthZReq", request.to_owned()).await?;
    ensure!(
        status.is_success(),
        "the running ramgate answered with status {status}"
    );
    Ok(answer.into())
}

/// A little over what the plugin itself takes, so that it is the plugin that refuses a larger one.
const REQUEST_SIZE_MAX_BYTES: u64 = 9 * 1024 * 1024;
