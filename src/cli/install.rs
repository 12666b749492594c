//! `ramgate install`: set ramgate up on this host.

mod shown;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use ramgate_policy::Registry;

use super::{CommandError, Outcome, say};
use crate::control;
use crate::install::{
    Choices, Control, Entry, Executor, Failure, Host, Installation, Journal, Level, Plan, Refusal,
    below, plan,
};
use crate::ledger::Ask;
use crate::serve::control_path;
use crate::settings::{DEFAULT_PATH, Settings};

/// Set ramgate up on this host: the gates, and the engine's settings that point at them.
///
/// Shows what it would change and asks. Whatever fails on the way, everything is put back. Run again, it does what is missing and
/// otherwise nothing; `ramgate uninstall` takes everything out.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate install --dry-run\n  ramgate install --registry ghcr.io --adopt\n  ramgate install --level plugin --policy policy.json --yes"
)]
pub(super) struct Install {
    /// How much is set up.
    #[arg(long, value_enum, default_value_t = Level::Standard)]
    level: Level,
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

/// Where, and how what runs there is started; `uninstall` takes the same.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Prepare the system below this directory, of which nothing runs.
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
    /// Where there is no systemd: what starts `ramgate serve`, or restarts it.
    #[arg(long, value_name = "COMMAND")]
    start_command: Option<String>,
    /// Where there is no systemd: what stops it.
    #[arg(long, value_name = "COMMAND")]
    stop_command: Option<String>,
    /// Where there is no systemd: what restarts the engine.
    #[arg(long, value_name = "COMMAND")]
    restart_command: Option<String>,
    /// How long the engine may take to come up before everything is put back.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,
}

// === impl Install ===

impl Install {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let host = self.place.host()?;
        if host.is_live() && !self.dry_run {
            as_root()?;
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
            say(format_args!("installed, level {}", plan.level))?;
        }
        Ok(Outcome::Done)
    }

    fn carry_out(&self, plan: &Plan, host: &Host) -> Result<(), CommandError> {
        let control = self.place.control(host);
        let mut installation = installation(host, control.as_ref())?;
        let adopt = || match self.adopt {
            true => adopt(&host.settings),
            false => Ok(()),
        };
        let Err(failure) = installation.install(plan, host.gates_answer, &adopt) else {
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
            registries = ask_for_registries()?;
        }
        let path = std::env::current_exe()?;
        let program = std::fs::read(&path).with_context(|| path.display().to_string());
        Ok(Choices {
            level: self.level,
            policy,
            registries,
            program: program.map_err(CommandError::Failed)?,
            program_path: path,
            adopt: self.adopt,
            can_start: self.place.start_command.is_some(),
            can_restart: self.place.restart_command.is_some(),
        })
    }
}

// === impl Place ===

impl Place {
    /// The host as it is.
    pub(super) fn host(&self) -> Result<Host, CommandError> {
        let root = std::fs::canonicalize(&self.root)
            .map_err(|error| CommandError::Usage(format!("{}: {error}", self.root.display())))?;
        let settings = below(&root, Path::new(DEFAULT_PATH));
        let settings = if settings.exists() {
            Settings::load(Some(&settings))?
        } else {
            Settings::parse("{}").map_err(|error| CommandError::Usage(error.to_string()))?
        };
        Host::find(&root, settings).map_err(CommandError::Failed)
    }

    /// How what runs there is started and stopped; `None` where nothing runs.
    pub(super) fn control(&self, host: &Host) -> Option<Control> {
        let running = host.docker.running.as_ref();
        host.is_live().then(|| Control {
            systemd: host.systemd,
            start_command: self.start_command.clone(),
            stop_command: self.stop_command.clone(),
            restart_command: self.restart_command.clone(),
            engine_socket: host.settings.engine_socket.clone(),
            plugin_socket: host.settings.plugin_socket.clone().unwrap_or_default(),
            engine_pid: running.and_then(|running| running.pid),
            patience: Duration::from_secs(self.patience),
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
    installation.executor.journal.remove()?;
    for path in host.kept() {
        if host.entry(&path) == Entry::Absent {
            let removed = std::fs::remove_dir_all(below(&host.root, &path));
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.with_context(|| path.display().to_string())?,
            }
        }
    }
    Ok(())
}

/// Refuses whoever cannot do it, with a word on what is meant for them.
pub(super) fn as_root() -> Result<(), CommandError> {
    use std::os::unix::fs::MetadataExt as _;
    let user = std::fs::metadata("/proc/self")?.uid();
    if user == 0 {
        return Ok(());
    }
    let rootless = Path::new("/run/user")
        .join(user.to_string())
        .join("docker.sock");
    let advice = if rootless.exists() {
        "; an engine in rootless mode is its user's own to change, and this version does not set one up"
    } else {
        ""
    };
    Err(CommandError::Usage(format!(
        "this has to be run as root{advice}"
    )))
}

/// Asks on the terminal; where there is none, nobody agrees.
pub(super) fn confirm(question: &str) -> Result<bool, CommandError> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn ask_for_registries() -> Result<Vec<String>, CommandError> {
    let answer = ask(
        "Which registries may be used beside Docker Hub, as in `ghcr.io registry.example:5000`? [none] ",
    )?;
    let words = answer.split([' ', ',', '\t', '\n']);
    words
        .filter(|word| !word.is_empty())
        .map(|word| {
            let host: Result<Registry, _> = word.parse();
            host.map(|host| host.to_string())
                .map_err(|error| CommandError::Usage(format!("`{word}`: {error}")))
        })
        .collect()
}

fn ask(question: &str) -> Result<String, CommandError> {
    let mut terminal = io::stderr();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}

/// Has the ramgate that was just started vouch for what is there.
fn adopt(settings: &Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ask = Ask::Adopt {
        images: Vec::new(),
        own: false,
    };
    let adopted = runtime.block_on(control::ask(&control_path(settings), &ask))?;
    let adopted = adopted.context("ramgate does not answer")?;
    super::complain(&format!("adopted images: {}", adopted.len()));
    Ok(())
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
