//! The command line: what is asked, and with which exit code it is answered.

mod audit;
mod catalog;
mod categories;
mod check;
mod decide;
mod doctor;
mod egress;
mod explanation;
mod install;
mod ledger;
mod mirror;
mod policy;
mod quantity;
mod serve;
mod status;
mod uninstall;

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use tracing::level_filters::LevelFilter;

pub(crate) use policy::starter;

use crate::live_policy::PolicyError;
use crate::settings::{DEFAULT_PATH, Settings, SettingsError};

/// Registry and image access management for Docker Engine on Linux servers.
///
/// One policy decides which registries and which of Docker Hub's images a Docker Engine may use. Three gates hold it: an
/// authorization plugin, a pull-through mirror and a forward proxy for the daemon.
#[derive(Debug, Parser)]
#[command(name = "ramgate", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How much is logged on stderr: error, warn, info, debug or trace.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    log: LevelFilter,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gates that the settings enable, until SIGTERM.
    Serve(serve::Serve),
    /// Ask the policy about a reference, without an engine.
    Check(check::Check),
    /// Answer one authorization request from stdin, as the plugin would.
    Decide(decide::Decide),
    /// Show how ramgate and the engine are, on one screen.
    Status(status::Status),
    /// Find out whether the policy holds on this engine, and what gets past it.
    Doctor(doctor::Doctor),
    /// Read the audit log.
    Audit(audit::Arguments),
    /// Show, renew and carry what is known of Docker Hub's namespaces.
    Catalog(catalog::Arguments),
    /// Set up what the network gate needs on this host.
    Egress(egress::Arguments),
    /// Show and change what is known of where images came from.
    Ledger(ledger::Arguments),
    /// Fill, look at and clean up what the mirror keeps, and carry it to where there is no network.
    Mirror(mirror::Arguments),
    /// Write, check or describe the policy.
    Policy(policy::Arguments),
    /// Set ramgate up on this host.
    Install(install::Install),
    /// Take ramgate out of this host.
    Uninstall(uninstall::Uninstall),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands.
    Man {
        /// A directory to write them to.
        #[arg(long, value_name = "DIRECTORY")]
        output: Option<PathBuf>,
    },
}

/// `--settings`, which several commands take.
#[derive(Debug, clap::Args)]
struct SettingsArgument {
    /// The settings file; without it, the default place, where it may be missing.
    #[arg(long, global = true, value_name = "FILE", help = format!("The settings file [default: {DEFAULT_PATH}]"))]
    settings: Option<PathBuf>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Allowed, or done.
    Done,
    /// Denied.
    Denied,
    /// It came to its end, and what it found is not well; it has said so.
    Failed,
}

/// Why a command did not come to an end.
#[derive(Debug)]
enum CommandError {
    /// Wrong usage or configuration.
    Usage(String),
    /// Anything else.
    Failed(anyhow::Error),
}

/// Reads the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // `--help` and `--version` come here too, and are no errors.
            let usage = error.use_stderr();
            let _ = error.print();
            return if usage {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let result = match arguments.command {
        Command::Serve(command) => command.run(arguments.log),
        Command::Check(command) => command.run(),
        Command::Decide(command) => command.run(arguments.log),
        Command::Status(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Catalog(command) => command.run(),
        Command::Egress(command) => command.run(),
        Command::Ledger(command) => command.run(),
        Command::Mirror(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Install(command) => command.run(),
        Command::Uninstall(command) => command.run(),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "ramgate",
                &mut io::stdout(),
            );
            Ok(Outcome::Done)
        }
        Command::Man { output } => man(output.as_deref()),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Denied) => ExitCode::from(DENIED),
        Ok(Outcome::Failed) => ExitCode::from(FAILED),
        Err(CommandError::Usage(problems)) => {
            complain(&problems);
            ExitCode::from(USAGE)
        }
        // Who reads has seen enough, as `head` has: nobody wants to hear of it.
        Err(CommandError::Failed(error)) if is_cut_off(&error) => ExitCode::from(FAILED),
        Err(CommandError::Failed(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

fn is_cut_off(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn man(output: Option<&Path>) -> Result<Outcome, CommandError> {
    if let Some(directory) = output {
        clap_mangen::generate_to(Arguments::command(), directory)?;
        return Ok(Outcome::Done);
    }
    clap_mangen::Man::new(Arguments::command()).render(&mut io::stdout())?;
    Ok(Outcome::Done)
}

/// Writes a line on stdout.
fn say(text: impl fmt::Display) -> Result<(), CommandError> {
    // Not `println!`, which panics when the reader has gone.
    writeln!(io::stdout(), "{text}").map_err(CommandError::from)
}

fn complain(problems: &str) {
    for problem in problems.lines() {
        // Nobody is left to tell when this fails.
        let _ = writeln!(io::stderr(), "ramgate: {problem}");
    }
}

// === impl SettingsArgument ===

impl SettingsArgument {
    const fn is_given(&self) -> bool {
        self.settings.is_some()
    }

    fn load(&self) -> Result<Settings, CommandError> {
        Settings::load(self.settings.as_deref()).map_err(CommandError::from)
    }
}

// === impl CommandError ===

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<SettingsError> for CommandError {
    fn from(error: SettingsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<PolicyError> for CommandError {
    fn from(error: PolicyError) -> Self {
        Self::Usage(error.to_string())
    }
}

const EXIT_CODES: &str =
    "Exit codes: 0 allowed or done, 1 failed, 2 denied, 64 wrong usage or configuration.";
const FAILED: u8 = 1;
const DENIED: u8 = 2;
/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;
