//! `ramgate audit`: what was decided.

mod tail;
mod why;

use clap::{Args, Subcommand};

use super::{CommandError, Outcome};

pub(super) use tail::{line, printable};

/// Read the audit log.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the last decisions, and those that follow.
    Tail(tail::Tail),
    /// Explain the refusal with an ID that a user has read.
    Why(why::Why),
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        match &self.command {
            Command::Tail(command) => command.run(),
            Command::Why(command) => command.run(),
        }
    }
}
