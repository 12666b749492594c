//! `ramgate uninstall`: take ramgate out of this host, and leave what was there before.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::install::{Place, confirm, installation, remove_empty};
use super::{CommandError, Outcome, complain, say};
use crate::install::{Apply, Extent, Host, Record, below};

/// Take ramgate out of this host: what `ramgate install` changed is as it was before, byte for byte.
///
/// What others have changed since is not overwritten: of `daemon.json` only ramgate's own keys are taken out, and the rest is said.
/// What ramgate has learned and logged stays, unless `--purge` is given.
#[derive(Debug, Args)]
pub(super) struct Uninstall {
    /// Show what would be done and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Remove policy, settings, ledger, cache and audit log too.
    #[arg(long)]
    purge: bool,
    /// Answer in JSON. Asks nothing.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

// === impl Uninstall ===

impl Uninstall {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let host = self.place.host()?;
        if host.is_live() && !self.dry_run {
            self.place.as_its_owner()?;
        }
        let Some(record) = host.journal.clone() else {
            return Err(CommandError::Usage(format!(
                "{}: there is no journal of an installation; what was set up by hand is taken out by hand, see docs/install.md",
                host.settings.state_dir.display()
            )));
        };
        let how = needs(&record);
        self.show(&record, &host, how)?;
        if self.dry_run {
            return Ok(Outcome::Done);
        }
        if !self.yes && (self.json || !confirm("Do this?")?) {
            return Err(CommandError::Usage(
                "nothing was changed; `--yes` does it without asking".to_owned(),
            ));
        }
        let control = self.place.control(&host);
        if how == Apply::Restart
            && host.docker.running.is_some()
            && control
                .as_ref()
                .is_some_and(|control| !control.systemd && control.restart_command.is_none())
        {
            return Err(CommandError::Usage(
                "the engine has to be restarted, and there is no systemd here: say how with `--restart-command`".to_owned(),
            ));
        }
        let mut installation = installation(&host, control.as_ref())?;
        let notes = installation
            .unmake(Extent::Everything, how)
            .map_err(CommandError::Failed)?;
        for note in notes {
            complain(&note);
        }
        let made = installation.executor.journal.remove();
        let made = made.map_err(CommandError::Failed)?;
        self.clear(&host).map_err(CommandError::Failed)?;
        remove_empty(made);
        if !self.json {
            say("ramgate is taken out")?;
        }
        Ok(Outcome::Done)
    }

    fn show(&self, record: &Record, host: &Host, how: Apply) -> Result<(), CommandError> {
        let changes = record.committed.iter().chain(&record.pending).rev();
        let containers = host.docker.running.as_ref();
        let stopping = containers
            .filter(|running| how == Apply::Restart && !running.live_restore)
            .map_or(0, |running| running.containers);
        if self.json {
            let paths: Vec<&Path> = changes.map(|change| change.path.as_path()).collect();
            return say(format_args!(
                "{:#}",
                json!({ "restores": paths, "purges": self.purge, "restarts-engine": how == Apply::Restart, "removes-rules": record.rules, "stops-containers": stopping })
            ));
        }
        for change in changes {
            say(format_args!("restore: {}", change.path.display()))?;
        }
        match how {
            Apply::Nothing => {}
            Apply::Reload => say("then: reload the engine; containers notice nothing")?,
            Apply::Restart => say(format_args!(
                "then: restart the engine; running containers that stop with it: {stopping}"
            ))?,
        }
        if record.rules {
            say(
                "then: take the firewall's rules out, so that what containers fetch goes its own way",
            )?;
        }
        say("then: stop the gates")?;
        if self.purge {
            for path in left(host) {
                say(format_args!("remove: {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Removes what is ramgate's own: all of it, or only what is empty.
    fn clear(&self, host: &Host) -> anyhow::Result<()> {
        for path in left(host) {
            let real = below(&host.root, &path);
            let shown = path.display().to_string();
            let removed = match fs::symlink_metadata(&real) {
                Ok(metadata) if self.purge && metadata.is_dir() => fs::remove_dir_all(&real),
                Ok(metadata) if self.purge && !metadata.is_dir() => fs::remove_file(&real),
                Ok(metadata) if metadata.is_dir() => fs::remove_dir(&real),
                Ok(_) | Err(_) => Ok(()),
            };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                removed => removed.context(shown)?,
            }
        }
        Ok(())
    }
}

/// What an uninstallation leaves of ramgate unless it is to leave nothing.
fn left(host: &Host) -> Vec<std::path::PathBuf> {
    let settings = &host.settings;
    let mut paths = vec![
        settings.policy_path.clone(),
        host.layout.settings.clone(),
        settings.state_dir.clone(),
    ];
    paths.extend(
        settings
            .mirror
            .iter()
            .map(|mirror| mirror.storage.directory().to_owned())
            .filter(|storage| !storage.starts_with(&settings.state_dir)),
    );
    paths.extend(settings.audit.path.parent().map(Path::to_owned));
    paths.extend(host.layout.settings.parent().map(Path::to_owned));
    paths
}

/// What it takes for the engine to notice that everything is as it was.
fn needs(record: &Record) -> Apply {
    let changes = record.committed.iter().chain(&record.pending);
    changes
        .map(crate::install::Change::needs)
        .max()
        .unwrap_or(Apply::Nothing)
}
