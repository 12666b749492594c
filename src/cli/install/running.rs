//! What is asked of the ramgate that runs, between its start and the engine's hearing of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;

use crate::cli::complain;
use crate::control;
use crate::ledger::Ask;
use crate::live_policy;
use crate::serve::control_path;
use crate::settings::Settings;

/// Waits until the policy that lies there is the one in force.
pub(super) fn wait_for_policy(settings: &Settings, patience: Duration) -> anyhow::Result<()> {
    let wanted = live_policy::digest(&live_policy::read(&settings.policy_path)?);
    let runtime = runtime()?;
    let deadline = Instant::now() + patience;
    let mut waited = false;
    loop {
        let vitals = runtime.block_on(control::ask_vitals(&control_path(settings)))?;
        let standing = vitals.context("ramgate does not answer")?.policy;
        // One from before digests were told is restarted by its own upgrade.
        if standing
            .digest
            .as_ref()
            .is_none_or(|digest| *digest == wanted)
        {
            if waited {
                complain("the changed policy is in force");
            }
            return Ok(());
        }
        if let (Some(error), true) = (standing.error, waited) {
            bail!("the changed policy was not taken: {error}");
        }
        if Instant::now() >= deadline {
            bail!("waited {patience:?} in vain for the changed policy to be in force");
        }
        waited = true;
        // Longer than a change takes to be noticed, so that an error is one of what is there now.
        std::thread::sleep(PAUSE);
    }
}

/// Has it vouch for the images that are there.
pub(super) fn adopt(settings: &Settings) -> anyhow::Result<()> {
    let ask = Ask::Adopt {
        images: Vec::new(),
        own: false,
    };
    let adopted = runtime()?.block_on(control::ask(&control_path(settings), &ask))?;
    let adopted = adopted.context("ramgate does not answer")?;
    complain(&format!("adopted images: {}", adopted.len()));
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

const PAUSE: Duration = Duration::from_millis(150);
