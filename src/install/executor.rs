//! Makes the steps of a plan, each written down before it is made, and unmakes them.
//!
//! A file is replaced in one step, so that whoever reads it reads the old one or the new one.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use super::entry::{Entry, Look};
use super::journal::{Journal, sync_parent};
use super::record::{After, Before, Change};
use super::step::{Content, Part, Step, below};
use crate::fingerprint::fingerprint;

/// Makes and unmakes changes below a root directory.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(super) root: PathBuf,
    pub(crate) journal: Journal,
}

/// How a file is to look that is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looks {
    New {
        mode: u32,
    },
    /// As the one before, but for the time.
    Changed(Look),
    /// As the one before in everything.
    Restored(Look),
}

// === impl Executor ===

impl Executor {
    pub(crate) const fn new(root: PathBuf, journal: Journal) -> Self {
        Self { root, journal }
    }

    /// Makes one step.
    ///
    /// # Errors
    /// When the path is not as it was when the plan was made, or cannot be changed.
    pub(crate) fn make(&mut self, step: &Step) -> anyhow::Result<()> {
        self.make_it(step).map_err(|error| {
            let advice = advice(&error);
            let error = error.context(step.path.display().to_string());
            match advice {
                Some(advice) => anyhow::anyhow!("{error:#}; {advice}"),
                None => error,
            }
        })
    }

    fn make_it(&mut self, step: &Step) -> anyhow::Result<()> {
        let real = below(&self.root, &step.path);
        let now = Entry::read(&real)?;
        if now != step.before {
            bail!("it was changed since the plan was made; run the command again");
        }
        self.make_parents(&step.path, step.part)?;
        let (before, look) = match now {
            Entry::Absent => (Before::Absent, None),
            Entry::File { content, look } => {
                let before = Before::File {
                    backup: self.journal.keep(&content)?,
                    sha256: fingerprint(&content),
                    look,
                };
                (before, Some(look))
            }
            Entry::Link { target } => (Before::Link { target }, None),
            Entry::Directory | Entry::Other => bail!("this is no file; move it away"),
        };
        let after = match &step.after {
            Content::File { content, .. } => After::of_file(content),
            Content::Link { target } => After::Link {
                target: target.clone(),
            },
            Content::Directory { .. } => After::Directory,
        };
        self.journal.note(Change {
            path: step.path.clone(),
            part: step.part,
            before,
            after,
            edits: step.edits.clone(),
            foreign: false,
        })?;
        match &step.after {
            Content::File { content, mode } => {
                let looks = look.map_or(Looks::New { mode: *mode }, Looks::Changed);
                put_file(&real, content, looks)?;
            }
            Content::Link { target } => put_link(&real, target)?,
            Content::Directory { mode } => make_directory(&real, *mode)?,
        }
        Ok(())
    }

    /// Makes the directories that a path lies in, and writes each down.
    fn make_parents(&mut self, path: &Path, part: Part) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        for parent in path.ancestors().skip(1) {
            if below(&self.root, parent).is_dir() {
                break;
            }
            missing.push(parent.to_owned());
        }
        for parent in missing.into_iter().rev() {
            self.journal.note(Change {
                path: parent.clone(),
                part,
                before: Before::Absent,
                after: After::Directory,
                edits: Vec::new(),
                foreign: false,
            })?;
            make_directory(&below(&self.root, &parent), 0o755)
                .with_context(|| parent.display().to_string())?;
        }
        Ok(())
    }
}

/// What to do about it, where the system's own words do not say.
fn advice(error: &anyhow::Error) -> Option<&'static str> {
    let kind = error.downcast_ref::<io::Error>()?.kind();
    let known = ADVICE.iter().find(|(known, _)| *known == kind);
    known.map(|(_, advice)| *advice)
}

/// Replaces a file in one step.
pub(super) fn put_file(path: &Path, content: &[u8], looks: Looks) -> io::Result<()> {
    let new = beside(path);
    remove_if_there(&new)?;
    let written = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(content)?;
        match looks {
            Looks::New { mode } => file.set_permissions(Permissions::from_mode(mode))?,
            Looks::Changed(look) | Looks::Restored(look) => {
                std::os::unix::fs::fchown(&file, Some(look.uid), Some(look.gid))?;
                file.set_permissions(Permissions::from_mode(look.mode))?;
            }
        }
        if let Looks::Restored(look) = looks {
            file.set_modified(time(look.modified))?;
        }
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_parent(path)
    };
    written().inspect_err(|_| {
        // The error that counts is the one that led here.
        let _ = remove_if_there(&new);
    })
}

/// Puts a link in the place of what is there.
pub(super) fn put_link(path: &Path, target: &Path) -> io::Result<()> {
    let new = beside(path);
    remove_if_there(&new)?;
    std::os::unix::fs::symlink(target, &new)?;
    fs::rename(&new, path).inspect_err(|_| {
        let _ = remove_if_there(&new);
    })?;
    sync_parent(path)
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    sync_parent(path)
}

/// Removes what an interrupted run has left.
fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes what a write that was cut short has left beside `path`. A directory there is somebody else's.
pub(super) fn clear_beside(path: &Path) -> io::Result<()> {
    let new = beside(path);
    match fs::symlink_metadata(&new) {
        Ok(left) if !left.is_dir() => remove_if_there(&new),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Where a file is written before it takes its place.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".ramgate-new");
    path.with_file_name(name)
}

fn time((seconds, nanoseconds): (i64, u32)) -> SystemTime {
    let since = Duration::new(seconds.unsigned_abs(), nanoseconds);
    if seconds < 0 {
        UNIX_EPOCH - since
    } else {
        UNIX_EPOCH + since
    }
}

const ADVICE: [(io::ErrorKind, &str); 4] = [
    (
        io::ErrorKind::PermissionDenied,
        "it, or the directory that it lies in, may be immutable: `lsattr -d` shows it, `chattr -i` ends it",
    ),
    (
        io::ErrorKind::ReadOnlyFilesystem,
        "mount it for writing, and read-only again when this is done",
    ),
    (io::ErrorKind::StorageFull, "make room there"),
    (io::ErrorKind::QuotaExceeded, "make room there"),
];
