//! What was changed on this host, written down before it is changed.
//!
//! One file, replaced as a whole and forced to disk with each entry, with the original of every changed file beside it. What lies here
//! is enough to put everything back, whenever the power fails.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::entry::Look;
use super::json_file::Edited;
use super::level::Level;
use super::plan::Apply;
use super::step::Part;
use crate::fingerprint::fingerprint;

/// The journal, open for one process alone.
#[derive(Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
    pub(crate) record: Record,
    /// Held as long as the journal is.
    _lock: File,
}

/// What the journal says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Record {
    version: u32,
    /// What is installed, once it is.
    pub(crate) level: Option<Level>,
    /// What one that did not come to its end was to install.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wanted: Option<Level>,
    /// What installations that came to their end have changed, in order.
    pub(crate) committed: Vec<Change>,
    /// What one that did not has changed.
    pub(crate) pending: Vec<Change>,
    /// Whether the engine may not have heard of the last changes.
    pub(crate) unapplied: bool,
    /// Whether the gates ran before what is pending.
    pub(crate) gates_ran: bool,
    /// Whether the firewall's rules are, or were about to be, in force by an installation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) rules: bool,
    /// Whether they were before what is pending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) rules_ran: bool,
    backups: u64,
    /// The directories that were made for the state directory to lie in, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    made: Vec<PathBuf>,
}

/// One change that was, or was about to be, made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) part: Part,
    pub(crate) before: Before,
    pub(crate) after: After,
    pub(crate) edits: Vec<Edited>,
    /// Whether others changed it between two of our changes: then `before` is not all of what was there.
    pub(crate) foreign: bool,
}

/// What lay there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Before {
    Absent,
    File {
        backup: String,
        sha256: String,
        look: Look,
    },
    Link {
        target: PathBuf,
    },
}

/// What lies there now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum After {
    Directory,
    File { sha256: String },
    Link { target: PathBuf },
}

// === impl Journal ===

impl Journal {
    /// Opens the journal in a state directory, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be read, or another process has it open.
    pub(crate) fn open(state_directory: &Path) -> anyhow::Result<Self> {
        let directory = state_directory.join(DIRECTORY);
        let mut made: Vec<PathBuf> = state_directory
            .ancestors()
            .skip(1)
            .take_while(|around| !around.exists())
            .map(Path::to_owned)
            .collect();
        made.reverse();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .with_context(|| directory.display().to_string())?;
        let lock = File::create(directory.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                bail!("another installation is under way; wait for its end")
            }
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let record = read(&directory)?.unwrap_or_else(|| Record {
            made,
            ..Record::default()
        });
        Ok(Self {
            directory,
            record,
            _lock: lock,
        })
    }

    /// What a journal says, without opening it; `None` if there is none.
    pub(crate) fn peek(state_directory: &Path) -> anyhow::Result<Option<Record>> {
        read(&state_directory.join(DIRECTORY))
    }

    /// Keeps the content of a file that is about to change; its name here.
    pub(crate) fn keep(&mut self, content: &[u8]) -> anyhow::Result<String> {
        self.record.backups += 1;
        let name = format!("{:04}", self.record.backups);
        write(&self.directory.join(&name), content)?;
        Ok(name)
    }

    /// The content of a file as it was.
    pub(crate) fn kept(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.directory.join(name);
        fs::read(&path).with_context(|| path.display().to_string())
    }

    /// Writes down what is about to be done.
    pub(crate) fn note(&mut self, change: Change) -> anyhow::Result<()> {
        self.record.pending.push(change);
        self.save()
    }

    /// What is pending has come to its end.
    pub(crate) fn commit(&mut self, level: Level) -> anyhow::Result<()> {
        let pending = std::mem::take(&mut self.record.pending);
        let mut superseded = Vec::new();
        for change in pending {
            let earlier = self
                .record
                .committed
                .iter_mut()
                .find(|earlier| earlier.path == change.path);
            match earlier {
                Some(earlier) => superseded.extend(earlier.follow(change)),
                None => self.record.committed.push(change),
            }
        }
        self.record.level = Some(level);
        self.record.wanted = None;
        self.record.unapplied = false;
        self.save()?;
        for name in superseded {
            // Of no use any more; one that stays goes with the journal.
            let _ = fs::remove_file(self.directory.join(name));
        }
        Ok(())
    }

    /// Writes the record to disk, and does not return before it is there.
    pub(crate) fn save(&mut self) -> anyhow::Result<()> {
        self.record.version = VERSION;
        let text = serde_json::to_vec_pretty(&self.record)?;
        write(&self.directory.join(FILE), &text)
    }

    /// Removes the journal: nothing is left to be put back. The directories that were made for it to lie in, which go last and only
    /// if nothing is in them.
    pub(crate) fn remove(self) -> anyhow::Result<Vec<PathBuf>> {
        fs::remove_dir_all(&self.directory)
            .with_context(|| self.directory.display().to_string())?;
        Ok(self.record.made)
    }
}

// === impl Record ===

impl Record {
    /// What is installed, or is half installed.
    pub(crate) fn level(&self) -> Option<Level> {
        let wanted = self.wanted.filter(|_| !self.pending.is_empty());
        wanted.or(self.level)
    }

    /// Notes what is to be installed, before anything is.
    pub(crate) const fn begin(&mut self, level: Level) {
        self.wanted = Some(level);
    }
}

// === impl Change ===

impl Change {
    /// What it takes for the engine to notice it, or that it is gone.
    pub(crate) fn needs(&self) -> Apply {
        let hosts_file = self.path.ends_with(super::host::HOSTS_FILE);
        let unseen = self.part == Part::Gates || self.after == After::Directory || hosts_file;
        if unseen {
            Apply::Nothing
        } else if self.edits.is_empty() || self.edits.iter().any(|edit| edit.is_at("proxies")) {
            Apply::Restart
        } else {
            Apply::Reload
        }
    }

    /// Takes in a later change of the same path; the backup that is of no use then.
    fn follow(&mut self, later: Self) -> Option<String> {
        if let (Before::File { sha256, .. }, After::File { sha256: ours }) =
            (&later.before, &self.after)
        {
            self.foreign |= sha256 != ours;
        }
        for edit in later.edits {
            let known = self.edits.iter_mut().find(|known| known.is_of(&edit));
            match (known, edit) {
                (Some(Edited::Set { after, .. }), Edited::Set { after: newer, .. }) => {
                    *after = newer;
                }
                (Some(_), _) => {}
                (None, edit) => self.edits.push(edit),
            }
        }
        self.after = later.after;
        match later.before {
            Before::File { backup, .. } => Some(backup),
            Before::Absent | Before::Link { .. } => None,
        }
    }
}

// === impl Edited ===

impl Edited {
    /// Whether it is of a key, or of one inside of it.
    pub(crate) fn is_at(&self, wanted: &str) -> bool {
        match self {
            Self::Set { key, .. } => key.first().is_some_and(|key| key == wanted),
            Self::Added { key, .. } => key == wanted,
        }
    }

    /// Whether it is of the same key, and of a list of the same item.
    fn is_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Set { key, .. }, Self::Set { key: other, .. }) => key == other,
            (Self::Added { .. }, Self::Added { .. }) => self == other,
            (Self::Set { .. }, Self::Added { .. }) | (Self::Added { .. }, Self::Set { .. }) => {
                false
            }
        }
    }
}

// === impl After ===

impl After {
    /// That of a file with this content.
    pub(crate) fn of_file(content: &[u8]) -> Self {
        Self::File {
            sha256: fingerprint(content),
        }
    }
}

fn read(directory: &Path) -> anyhow::Result<Option<Record>> {
    let path = directory.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(path.display().to_string()),
    };
    let record: Record =
        serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    if record.version != VERSION {
        bail!(
            "{}: written by another version of ramgate (format {}, not {VERSION}); use that version",
            path.display(),
            record.version
        );
    }
    Ok(Some(record))
}

/// Replaces a file in one step, with all of it on disk.
fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let written = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_parent(path)
    };
    written().with_context(|| path.display().to_string())
}

/// Forces to disk that a name came or went.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

const VERSION: u32 = 1;
const DIRECTORY: &str = "install";
const FILE: &str = "journal.json";
const LOCK: &str = "lock";
