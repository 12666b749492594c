//! `ramgate install`: set ramgate up on this host.

mod place;
mod questions;
mod running;
mod shown;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::Args;
use ramgate_egress::NewAuthority;
use ramgate_policy::Registry;

use super::{CommandError, Outcome, say};
use crate::install::{
    Choices, Control, Entry, Executor, Failure, Gates, Host, Installation, Journal, Level, Plan,
    Record, Refusal, below, plan,
};
pub(super) use place::Place;
pub(super) use questions::confirm;

/// Set ramgate up on this host: the gates, and the engine's settings that point at them.
///
/// Shows what it would change and asks. Whatever fails on the way, everything is put back. Run again, it does what is missing and
/// otherwise nothing; `ramgate uninstall` takes everything out.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate install --dry-run\n  ramgate install --registry ghcr.io --adopt\n  ramgate install --level plugin --policy policy.json --yes"
)]
pub(super) struct Install {
    /// How much is set up: what is installed already, else `standard`.
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// Show what would be done and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Put this policy in place.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Allow this registry too; may be given more than once.
    #[arg(long = "registry", value_name = "HOST")]
    registries: Vec<Registry>,
    /// Vouch for all images that are on this host already, as `ramgate ledger adopt` does.
    #[arg(long)]
    adopt: bool,
    /// Answer in JSON. Asks nothing.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

// === impl Install ===

impl Install {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let host = self.place.host()?;
        if host.is_live() && !self.dry_run {
            self.place.as_its_owner()?;
        }
        let choices = self.choices(&host)?;
        let plan = plan(&host, &choices)?;
        if self.json {
            say(format_args!("{:#}", shown::as_json(&plan)))?;
        } else {
            shown::show(&plan, &host)?;
        }
        if self.dry_run || plan.is_empty() {
            return Ok(Outcome::Done);
        }
        if !self.yes && (self.json || !confirm("Do this?")?) {
            return Err(CommandError::Usage(
                "nothing was changed; `--yes` does it without asking".to_owned(),
            ));
        }
        self.carry_out(&plan, &host)?;
        if !self.json {
            let how = match host.layout.user {
                None => String::new(),
                Some(_) => format!(" --settings {}", host.layout.settings.display()),
            };
            say(format_args!(
                "installed, level {}\n{}",
                plan.level,
                NEXT.replace("ramgate doctor", &format!("ramgate doctor{how}"))
            ))?;
        }
        Ok(Outcome::Done)
    }

    fn carry_out(&self, plan: &Plan, host: &Host) -> Result<(), CommandError> {
        let control = self.place.control(host);
        let mut installation = installation(host, control.as_ref())?;
        let before_engine = || {
            if plan.gates == Gates::Leave {
                // They are not started, so it is for them to notice.
                let patience = self.place.patience();
                running::wait_for_policy(&host.settings, patience)?;
            }
            match self.adopt {
                true => running::adopt(&host.settings),
                false => Ok(()),
            }
        };
        let Err(failure) = installation.install(plan, host.gates_answer, &before_engine) else {
            return Ok(());
        };
        if failure.rollback.is_ok() && host.journal.is_none() {
            let forgotten = forget(installation, host);
            forgotten.map_err(CommandError::Failed)?;
        }
        Err(failure.into())
    }

    fn choices(&self, host: &Host) -> Result<Choices, CommandError> {
        let policy =
            match &self.policy {
                Some(path) => {
                    let read = std::fs::read(path);
                    Some(read.map_err(|error| {
                        CommandError::Usage(format!("{}: {error}", path.display()))
                    })?)
                }
                None => None,
            };
        let mut registries: Vec<String> = self.registries.iter().map(ToString::to_string).collect();
        let new = policy.is_none()
            && below(&host.root, &host.settings.policy_path)
                .symlink_metadata()
                .is_err();
        let may_ask = !self.yes && !self.json && !self.dry_run && io::stdin().is_terminal();
        if new && registries.is_empty() && may_ask {
            registries = questions::ask_for_registries()?;
        }
        let installed = host.journal.as_ref().and_then(Record::level);
        let path = std::env::current_exe()?;
        let program = std::fs::read(&path).with_context(|| path.display().to_string());
        Ok(Choices {
            level: self.level.or(installed).unwrap_or(match host.layout.user {
                None => Level::Standard,
                Some(_) => Level::Plugin,
            }),
            policy,
            registries,
            program: program.map_err(CommandError::Failed)?,
            program_path: path,
            adopt: self.adopt,
            can_start: self.place.start_command.is_some(),
            can_restart: self.place.restart_command.is_some(),
            authority: |hosts| {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this command is run by a person now"
                )]
                NewAuthority::make(hosts, SystemTime::now())
            },
        })
    }
}

/// Opens the journal; what will be done is noted there.
pub(super) fn installation<'a>(
    host: &Host,
    control: Option<&'a Control>,
) -> Result<Installation<'a>, CommandError> {
    let journal = Journal::open(&below(&host.root, &host.settings.state_dir));
    let journal = journal.map_err(CommandError::Failed)?;
    Ok(Installation {
        told: journal.record.unapplied,
        executor: Executor::new(host.root.clone(), journal),
        control,
        engine_runs: host.docker.running.is_some(),
        progress: super::complain,
    })
}

/// After a first installation that failed: removes the journal, and what the gates have begun to keep.
fn forget(installation: Installation<'_>, host: &Host) -> anyhow::Result<()> {
    let made = installation.executor.journal.remove()?;
    for path in host.kept() {
        if host.entry(&path) == Entry::Absent {
            let removed = std::fs::remove_dir_all(below(&host.root, &path));
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.with_context(|| path.display().to_string())?,
            }
        }
    }
    remove_empty(made);
    Ok(())
}

/// Removes directories, the last first, as far as nothing is in them.
pub(super) fn remove_empty(directories: Vec<PathBuf>) {
    for directory in directories.into_iter().rev() {
        if std::fs::remove_dir(directory).is_err() {
            return;
        }
    }
}

// === impl CommandError ===

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Usage(refusal.0.join("\n"))
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        let cause = format!("{:#}", failure.cause);
        Self::Failed(match failure.rollback {
            Ok(notes) if notes.is_empty() => {
                anyhow::anyhow!("{cause}\neverything is as it was before")
            }
            Ok(notes) => anyhow::anyhow!(
                "{cause}\neverything was put back, but:\n{}",
                notes.join("\n")
            ),
            Err(error) => anyhow::anyhow!(
                "{cause}\nand putting everything back failed too: {error:#}\nrun `ramgate uninstall` when it is mended"
            ),
        })
    }
}

const NEXT: &str = "  see that it holds    ramgate doctor
  allow a registry     ramgate install --registry HOST
  take it out again    ramgate uninstall";
