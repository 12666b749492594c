//! `ramgate ledger`: what is known of where images came from.

use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ramgate_provenance::{Canaries, Ledger, LedgerError, Way};

use super::{CommandError, Outcome, SettingsArgument, say};
use crate::control;
use crate::ledger::{Ask, Desk, Entry};
use crate::serve::{control_path, ledger_path, registrar};
use crate::settings::Settings;

/// Show and change what is known of where images came from.
///
/// The ledger says of each image, by its ID, how it came to this host and from which repositories. By it, and not by an image's
/// name, ramgate decides whether the image may run. An image of which nothing is known is denied unless the policy's
/// `local-images.unknown` is `allow`, or somebody vouches for it with `adopt`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate ledger list\n  ramgate ledger show alpine:3\n  ramgate ledger adopt\n  ramgate ledger adopt --own acme-tools:1"
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
    /// List every image that is known.
    List,
    /// Show what is known of an image.
    Show {
        /// A name that the engine knows, an image ID, or the start of one.
        image: String,
    },
    /// Vouch for images that are on this host: for those named, or for all of which nothing is known.
    Adopt {
        /// Names or IDs of images.
        images: Vec<String>,
        /// They are this host's own: their names say nothing of where they came from.
        #[arg(long, requires = "images")]
        own: bool,
    },
    /// Forget what is known of an image. It is then unknown, until it is pulled or adopted again.
    Forget {
        /// A name that the engine knows, an image ID, or the start of one.
        image: String,
    },
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        let ask = match &self.command {
            Command::List => Ask::List,
            Command::Show { image } => Ask::Show {
                image: image.clone(),
            },
            Command::Adopt { images, own } => Ask::Adopt {
                images: images.clone(),
                own: *own,
            },
            Command::Forget { image } => Ask::Forget {
                image: image.clone(),
            },
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let entries = runtime
            .block_on(answer(&settings, &ask))
            .map_err(CommandError::Failed)?;
        if self.json {
            let text = serde_json::to_string_pretty(&entries)
                .map_err(|error| CommandError::Failed(error.into()))?;
            say(text)?;
            return Ok(Outcome::Done);
        }
        match &self.command {
            Command::Show { .. } => entries.iter().try_for_each(show)?,
            Command::List => table(&entries)?,
            Command::Adopt { .. } => {
                table(&entries)?;
                say(format_args!("adopted: {}", entries.len()))?;
            }
            Command::Forget { .. } => {
                for entry in &entries {
                    say(format_args!("forgot {}", entry.id))?;
                }
            }
        }
        Ok(Outcome::Done)
    }
}

/// By a running ramgate, which has the ledger open; without one, by the ledger itself.
async fn answer(settings: &Settings, ask: &Ask) -> anyhow::Result<Vec<Entry>> {
    let socket = control_path(settings);
    if let Some(entries) = control::ask(&socket, ask).await? {
        return Ok(entries);
    }
    let path = ledger_path(settings);
    let opened = match Ledger::open(&path) {
        // It started in between.
        Err(LedgerError::InUse) => {
            let entries = control::ask(&socket, ask).await?;
            return entries.context("another process uses the ledger and does not answer");
        }
        opened => opened.with_context(|| path.display().to_string())?,
    };
    let registrar = registrar(settings, Arc::new(opened.ledger), Canaries::default())?;
    Ok(Desk::new(registrar).answer(ask).await?)
}

fn table(entries: &[Entry]) -> Result<(), CommandError> {
    if entries.is_empty() {
        return Ok(());
    }
    say(format_args!(
        "{:<12}  {:<7}  {:<20}  {}",
        "IMAGE", "WAY", "SINCE", "FROM"
    ))?;
    for entry in entries {
        let id = entry.id.encoded().get(..12).unwrap_or_default();
        let record = &entry.record;
        say(format_args!(
            "{id:<12}  {:<7}  {:<20}  {}",
            record.way.as_str(),
            date(record.since),
            origin(entry)
        ))?;
    }
    Ok(())
}

/// The repositories that an image is from, or what it was made from, or its name in brackets.
fn origin(entry: &Entry) -> String {
    let record = &entry.record;
    let listed = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
    if !record.origins.is_empty() {
        return listed(&mut record.origins.iter().map(ToString::to_string));
    }
    let base = &record.base;
    if !base.is_empty() {
        let repositories = base.repositories.iter().map(ToString::to_string);
        let images = base
            .images
            .iter()
            .map(|id| id.encoded().get(..12).unwrap_or_default().to_owned());
        return format!("on {}", listed(&mut repositories.chain(images)));
    }
    match &record.name {
        Some(name) => format!("({name})"),
        None => "-".to_owned(),
    }
}

fn show(entry: &Entry) -> Result<(), CommandError> {
    let record = &entry.record;
    let line = |key: &str, value: String| {
        if value.is_empty() {
            Ok(())
        } else {
            say(format_args!("{key:<9} {value}"))
        }
    };
    line("image", entry.id.to_string())?;
    line("way", record.way.to_string())?;
    line("since", date(record.since))?;
    line("by", record.by.clone().unwrap_or_default())?;
    line("name", record.name.clone().unwrap_or_default())?;
    for origin in &record.origins {
        line("origin", origin.to_string())?;
    }
    for repository in &record.base.repositories {
        line("base", repository.to_string())?;
    }
    for image in &record.base.images {
        line("base", format!("image {image}"))?;
    }
    if record.way == Way::Build {
        let gates = if record.gated {
            "in force"
        } else {
            "not in force"
        };
        line("gates", gates.to_owned())?;
    }
    line("layers", record.layers.len().to_string())
}

/// UTC, as RFC 3339 has it.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}
