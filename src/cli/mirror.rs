//! `ramgate mirror`: what the mirror keeps.

mod export;
mod import;
mod prefetch;
mod upkeep;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ramgate_policy::Reference;

use super::{CommandError, Outcome, SettingsArgument};
use crate::images::{ClientError, Platforms};

/// Fill, look at and clean up what the mirror keeps, and carry it to where there is no network.
///
/// All of it may be done while the mirror runs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate mirror prefetch alpine:3 ghcr.io/acme/app:1\n  ramgate mirror export alpine:3 --to alpine.tar\n  ramgate mirror import alpine.tar\n  ramgate mirror stats\n  ramgate mirror gc --json"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingsArgument,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Have the running mirror fetch images, so that pulls find them there.
    Prefetch(prefetch::Prefetch),
    /// Write images into an OCI image layout, through the running mirror.
    Export(export::Export),
    /// Take the images of an OCI image layout into the mirror's store.
    Import(import::Import),
    /// Remove what no repository is known to have, what leads nowhere, and what is above `mirror.max-size`.
    Gc(upkeep::Answer),
    /// Read all that is kept, and remove what is not what its digest says. Exit code 1 if there was any.
    Verify(upkeep::Answer),
    /// Show how much is kept, and for which repositories.
    Stats(upkeep::Answer),
}

/// Which images, and which of their platforms.
#[derive(Debug, Args)]
struct Images {
    /// References as one gives them to docker, such as `alpine:3` or `ghcr.io/acme/app@sha256:…`.
    #[arg(value_name = "REFERENCE", required_unless_present = "from")]
    references: Vec<String>,
    /// A file with a reference on each line; empty lines and those that begin with `#` do not count.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// `linux/arm64`, `linux/arm/v7` and so on, or `all`; this host's own if none is named.
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<String>,
}

/// What came of several images: the worst decides how the command ends.
#[derive(Debug, Default)]
struct Tally {
    denied: bool,
    failed: usize,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        // TLS needs a provider for the process; ring is the one that is built in.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match &self.command {
                Command::Prefetch(command) => command.run(&settings).await,
                Command::Export(command) => command.run(&settings).await,
                Command::Import(command) => command.run(&settings).await,
                Command::Gc(answer) => answer.collect(&settings).await,
                Command::Verify(answer) => answer.verify(&settings).await,
                Command::Stats(answer) => answer.statistics(&settings).await,
            }
        })
    }
}

// === impl Images ===

impl Images {
    /// What was named, in order; all that is wrong with it at once.
    fn read(&self) -> Result<(Vec<Reference>, Platforms), CommandError> {
        let mut texts = self.references.clone();
        if let Some(path) = &self.from {
            texts.extend(lines(path)?);
        }
        let (mut references, mut problems) = (Vec::new(), Vec::new());
        for text in &texts {
            let read = text.parse::<Reference>();
            match read.and_then(|reference| reference.repository().map(|_| reference)) {
                Ok(reference) => references.push(reference),
                Err(error) => problems.push(format!("`{text}`: {error}")),
            }
        }
        let platforms = Platforms::read(&self.platforms).map_err(|problem| problems.push(problem));
        match (problems.is_empty(), platforms) {
            (true, Ok(platforms)) => Ok((references, platforms)),
            (_, _) => Err(CommandError::Usage(problems.join("\n"))),
        }
    }
}

// === impl Tally ===

impl Tally {
    /// Says what went wrong with an image, and goes on; unless there is nobody to ask for the next one either.
    fn note(&mut self, name: &str, error: ClientError) -> Result<(), CommandError> {
        match error {
            ClientError::Off => return Err(CommandError::Usage(error.to_string())),
            ClientError::NobodyThere(_) => return Err(CommandError::Failed(error.into())),
            ClientError::Denied(text) => self.denied(name, &text),
            ClientError::Failed { what, text } => self.failed(&what, &text),
        }
        Ok(())
    }

    fn denied(&mut self, name: &str, text: &str) {
        super::complain(&format!("{name}: denied: {text}"));
        self.denied = true;
    }

    fn failed(&mut self, what: &str, text: &str) {
        super::complain(&format!("{what}: {text}"));
        self.failed += 1;
    }

    fn outcome(&self) -> Result<Outcome, CommandError> {
        match (self.failed, self.denied) {
            (0, false) => Ok(Outcome::Done),
            (0, true) => Ok(Outcome::Denied),
            (failed, _) => Err(CommandError::Failed(anyhow::anyhow!(
                "{failed} did not come; what came is kept, and asked again the rest is tried"
            ))),
        }
    }
}

fn lines(path: &Path) -> Result<Vec<String>, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::Usage(format!("{}: {error}", path.display())))?;
    let meant = |line: &&str| !line.is_empty() && !line.starts_with('#');
    Ok(text
        .lines()
        .map(str::trim)
        .filter(meant)
        .map(str::to_owned)
        .collect())
}

/// Bytes as a person reads them.
fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}
