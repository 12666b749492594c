//! `ramgate egress`: what the network gate needs on this host.

mod ca;
mod hosts;
mod nft;
mod probe;

use clap::{Args, Subcommand};

use super::{CommandError, Outcome, SettingsArgument};

/// Set up what the network gate needs on this host.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate egress probe registry.acme.example/team/app:1\n  ramgate egress ca init\n  ramgate egress ca install\n  ramgate egress nft show\n  ramgate egress nft apply\n  systemctl restart ramgate docker"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingsArgument,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The certificate authority with which `egress.inspect` reads what goes to registries.
    Ca {
        #[command(subcommand)]
        command: ca::Ca,
    },
    Hosts(hosts::Hosts),
    /// The firewall rules that send what containers fetch by themselves through the network gate.
    Nft {
        #[command(subcommand)]
        command: nft::Nft,
    },
    /// Find out which hosts a registry redirects to, by fetching an image from it, and print them for the policy.
    Probe(probe::Probe),
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        match &self.command {
            Command::Ca { command } => command.run(&self.settings.load()?),
            Command::Hosts(command) => command.run(),
            Command::Nft { command } => command.run(&self.settings.load()?),
            Command::Probe(command) => command.run(&self.settings.load()?),
        }
    }
}
