//! `ramgate mirror gc`, `verify` and `stats`: looks after the store, beside a mirror that runs.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use clap::Args;
use ramgate_mirror::{Statistics, Upkeep, Verification};
use serde::Serialize;

use crate::cli::quantity::size;
use crate::cli::{CommandError, Outcome, say};
use crate::settings::Settings;

/// How it is answered.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Answer {
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

// === impl Answer ===

impl Answer {
    pub(super) async fn collect(self, settings: &Settings) -> Result<Outcome, CommandError> {
        let collected = open(settings)?.collect().await?;
        if self.json {
            return json(&collected);
        }
        say(format_args!("unreferenced {}", collected.unreferenced))?;
        say(format_args!("dangling     {}", collected.dangling))?;
        say(format_args!("evicted      {}", collected.evicted))?;
        say(format_args!("freed        {}", size(collected.freed_bytes)))?;
        Ok(Outcome::Done)
    }

    pub(super) async fn statistics(self, settings: &Settings) -> Result<Outcome, CommandError> {
        let statistics = open(settings)?.statistics().await?;
        if self.json {
            return json(&statistics);
        }
        table(&statistics)
    }

    pub(super) async fn verify(self, settings: &Settings) -> Result<Outcome, CommandError> {
        let upkeep = open(settings)?;
        let mut shown = Instant::now();
        let to_terminal = io::stderr().is_terminal() && !self.json;
        let found = upkeep
            .verify(|found| {
                if to_terminal && shown.elapsed() > BETWEEN {
                    shown = Instant::now();
                    show(found);
                }
            })
            .await?;
        if to_terminal {
            show(&found);
            // Nobody is left to tell when this fails.
            let _ = writeln!(io::stderr());
        }
        if self.json {
            json(&found)?;
        } else {
            for name in &found.removed {
                say(format_args!("removed {name}"))?;
            }
            say(format_args!(
                "verified {} ({}), removed {}",
                found.verified,
                size(found.verified_bytes),
                found.removed.len()
            ))?;
        }
        if found.removed.is_empty() {
            return Ok(Outcome::Done);
        }
        Err(CommandError::Failed(anyhow::anyhow!(
            "{} of {} were not what their digest says",
            found.removed.len(),
            found.contents
        )))
    }
}

fn open(settings: &Settings) -> Result<Upkeep, CommandError> {
    let Some(mirror) = &settings.mirror else {
        return Err(CommandError::Usage(
            "mirror.enabled is false: there is no mirror".to_owned(),
        ));
    };
    let storage = crate::storage::open(mirror).map_err(CommandError::Failed)?;
    Ok(Upkeep::open(storage)?)
}

fn json(answer: &impl Serialize) -> Result<Outcome, CommandError> {
    let text =
        serde_json::to_string_pretty(answer).map_err(|error| CommandError::Failed(error.into()))?;
    say(text)?;
    Ok(Outcome::Done)
}

fn table(statistics: &Statistics) -> Result<Outcome, CommandError> {
    say(format_args!(
        "{:>10}  {:>9}  {:>6}  {:>5}  REPOSITORY",
        "SIZE", "MANIFESTS", "BLOBS", "TAGS"
    ))?;
    for (repository, of) in &statistics.repositories {
        say(format_args!(
            "{:>10}  {:>9}  {:>6}  {:>5}  {repository}",
            size(of.size_bytes),
            of.manifests,
            of.blobs,
            of.tags
        ))?;
    }
    say(format_args!(
        "{:>10}  in {} contents, each once; unreferenced: {}",
        size(statistics.size_bytes),
        statistics.contents,
        statistics.unreferenced
    ))?;
    Ok(Outcome::Done)
}

fn show(found: &Verification) {
    let _ = write!(
        io::stderr(),
        "\r{} of {}, {} of {}, removed {} ",
        found.verified,
        found.contents,
        size(found.verified_bytes),
        size(found.size_bytes),
        found.removed.len()
    );
}

/// Between two words on how far it is.
const BETWEEN: Duration = Duration::from_millis(200);
