//! `ramgate mirror`: what the mirror keeps.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use ramgate_mirror::{Statistics, Upkeep, Verification};
use serde::Serialize;

use super::{CommandError, Outcome, SettingsArgument, say};

/// Look at, verify and clean up what the mirror keeps.
///
/// All of it may be done while the mirror runs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate mirror stats\n  ramgate mirror verify\n  ramgate mirror gc --json"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingsArgument,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Remove what no repository is known to have, what leads nowhere, and what is above `mirror.max-size`.
    Gc,
    /// Read all that is kept, and remove what is not what its digest says. Exit code 1 if there was any.
    Verify,
    /// Show how much is kept, and for which repositories.
    Stats,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        let Some(mirror) = &settings.mirror else {
            return Err(CommandError::Usage(
                "mirror.enabled is false: there is no mirror".to_owned(),
            ));
        };
        // TLS to a bucket needs a provider for the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let storage = crate::storage::open(mirror).map_err(CommandError::Failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.answer(&Upkeep::open(storage)?))
    }

    async fn answer(&self, upkeep: &Upkeep) -> Result<Outcome, CommandError> {
        match self.command {
            Command::Gc => {
                let collected = upkeep.collect().await?;
                if self.json {
                    return json(&collected);
                }
                say(format_args!("unreferenced {}", collected.unreferenced))?;
                say(format_args!("dangling     {}", collected.dangling))?;
                say(format_args!("evicted      {}", collected.evicted))?;
                say(format_args!("freed        {}", size(collected.freed_bytes)))?;
                Ok(Outcome::Done)
            }
            Command::Stats => {
                let statistics = upkeep.statistics().await?;
                if self.json {
                    return json(&statistics);
                }
                table(&statistics)
            }
            Command::Verify => self.verify(upkeep).await,
        }
    }

    async fn verify(&self, upkeep: &Upkeep) -> Result<Outcome, CommandError> {
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

/// As people read it.
fn size(bytes: u64) -> String {
    let units = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    for (unit, name) in units {
        if bytes >= unit {
            let tenths = bytes / (unit / 10).max(1);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// Between two words on how far it is.
const BETWEEN: Duration = Duration::from_millis(200);
