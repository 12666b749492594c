//! `ramgate audit`: what was decided.

mod line;
mod tail;
mod top;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CommandError, Outcome, SettingsArgument};

/// Show what was decided.
///
/// The gates write one line for every decision to the audit log (`audit.path`). These commands read it, and nothing else; they
/// need no running ramgate.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate audit top --denied --since 7d\n  ramgate audit tail --denied"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The audit log [default: that of the settings].
    #[arg(long, global = true, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgument,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count decisions by what they were about: with `--denied`, what users asked for and did not get.
    Top(top::Top),
    /// Print the last decisions, and then each as it is made, until interrupted.
    Tail(tail::Tail),
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.settings.load()?.audit_path,
        };
        match &self.command {
            Command::Top(command) => command.run(&file),
            Command::Tail(command) => command.run(&file),
        }
    }
}
