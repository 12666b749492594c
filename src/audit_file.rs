//! The audit log's file: appended to, moved away when it is large, and followed when somebody else moves it.
//!
//! Whoever rotates it otherwise needs to tell nobody: before each write it is seen whether the path still leads to this file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where the log is and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditFile {
    pub(crate) path: PathBuf,
    /// The size at which it is moved away; 0 for never.
    pub(crate) max_size_bytes: u64,
    /// How many that were moved away are kept.
    pub(crate) keep: u32,
    /// Whether each write is on the disk before the next.
    pub(crate) sync: bool,
}

/// The log, open.
#[derive(Debug)]
pub(crate) struct OpenAuditFile {
    settings: AuditFile,
    file: File,
}

// === impl AuditFile ===

impl AuditFile {
    /// Opens it, and makes it and its directory if need be.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn open(&self) -> io::Result<OpenAuditFile> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(OpenAuditFile {
            settings: self.clone(),
            file: appending(&self.path)?,
        })
    }
}

// === impl OpenAuditFile ===

impl Write for OpenAuditFile {
    /// Writes all of `lines`, which end with a line: so no line is ever in two files.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.follow()?;
        self.rotate_for(lines.len())?;
        self.file.write_all(lines)?;
        if self.settings.sync {
            self.file.sync_data()?;
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OpenAuditFile {
    /// Opens the path anew if it leads elsewhere.
    fn follow(&mut self) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let same = fs::metadata(&self.settings.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (ours.dev(), ours.ino()));
        if !same {
            self.file = appending(&self.settings.path)?;
        }
        Ok(())
    }

    /// Moves the file away if `more` bytes would make it too large. An empty one takes whatever comes.
    fn rotate_for(&mut self, more: usize) -> io::Result<()> {
        let AuditFile {
            path,
            max_size_bytes,
            keep,
            ..
        } = &self.settings;
        let size = self.file.metadata()?.len();
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        if *max_size_bytes == 0 || size == 0 || size.saturating_add(more) <= *max_size_bytes {
            return Ok(());
        }
        if *keep == 0 {
            return self.file.set_len(0);
        }
        for number in (1..*keep).rev() {
            match fs::rename(rotated(path, number), rotated(path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(path, rotated(path, 1))?;
        self.file = appending(path)?;
        Ok(())
    }
}

/// Where the file at `path` is moved to; the higher the number, the older.
pub(crate) fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Appends, so that `logrotate` with `copytruncate` works too; names of users are in it, so it is the owner's alone.
fn appending(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(directory: &Path, max_size_bytes: u64, keep: u32) -> OpenAuditFile {
        let settings = AuditFile {
            path: directory.join("log/audit.jsonl"),
            max_size_bytes,
            keep,
            sync: true,
        };
        settings.open().unwrap()
    }

    #[test]
    fn a_large_file_is_moved_away_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log(directory.path(), 8, 2);
        for line in ["one\n", "two\n", "three\n", "longer than eight\n", "five\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let path = log.settings.path.clone();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(read(&path), "five\n");
        assert_eq!(read(&rotated(&path, 1)), "longer than eight\n");
        assert_eq!(read(&rotated(&path, 2)), "three\n");
        assert!(!rotated(&path, 3).exists());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_of_which_nothing_is_kept_begins_anew_and_one_without_limit_grows() {
        let directory = tempfile::tempdir().unwrap();
        let mut short = log(directory.path(), 4, 0);
        let path = short.settings.path.clone();
        short.write_all(b"one\n").unwrap();
        short.write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        let mut endless = log(directory.path(), 0, 2);
        endless.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\nthree\n");
        assert!(!rotated(&path, 1).exists());
    }

    #[test]
    fn a_file_that_others_move_away_or_empty_is_left_to_them() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log(directory.path(), 0, 2);
        let path = log.settings.path.clone();
        log.write_all(b"one\n").unwrap();
        fs::rename(&path, path.with_extension("old")).unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        File::create(&path).unwrap();
        log.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }
}
