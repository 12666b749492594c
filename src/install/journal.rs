//! What was changed on this host, written down before it is changed.
//!
//! One file, replaced as a whole and forced to disk with each entry, with the original of every changed file beside it. What lies here
//! is enough to put everything back, whenever the power fails.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::level::Level;
use super::record::{Change, Record};

/// The journal, open for one process alone.
#[derive(Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
    pub(crate) record: Record,
    /// Held as long as the journal is.
    _lock: File,
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
