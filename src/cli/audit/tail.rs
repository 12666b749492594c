//! `ramgate audit tail`: the last decisions, and each as it is made.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::line::Line;
use crate::cli::{CommandError, Outcome, say};

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Only what was denied.
    #[arg(long)]
    denied: bool,
    /// Print the lines as they stand in the log.
    #[arg(long)]
    json: bool,
    /// Print what is there and end.
    #[arg(long)]
    no_follow: bool,
}

/// The log, read to where it has grown to.
struct Log {
    reader: BufReader<File>,
    inode: u64,
    /// A line whose end has not been written yet.
    begun: Vec<u8>,
}

// === impl Tail ===

impl Tail {
    pub(super) fn run(&self, path: &Path) -> Result<Outcome, CommandError> {
        let mut log = Log::open(path, true)?;
        loop {
            while let Some(line) = log.next()? {
                self.show(&line)?;
            }
            if self.no_follow {
                return Ok(Outcome::Done);
            }
            std::thread::sleep(PAUSE);
            // Put aside by whoever rotates logs: what was still written there first, then the new one.
            let now = std::fs::metadata(path).map(|metadata| metadata.ino()).ok();
            if now.is_some_and(|inode| inode != log.inode) {
                while let Some(line) = log.next()? {
                    self.show(&line)?;
                }
                log = Log::open(path, false)?;
            }
        }
    }

    fn show(&self, text: &str) -> Result<(), CommandError> {
        match Line::read(text) {
            Some(line) if self.denied && !line.is_denied() => Ok(()),
            Some(_) if self.json => say(text),
            Some(line) => say(line),
            None => Ok(()),
        }
    }
}

// === impl Log ===

impl Log {
    fn open(path: &Path, near_end: bool) -> Result<Self, CommandError> {
        let open = || -> anyhow::Result<Self> {
            let mut file = File::open(path)?;
            let metadata = file.metadata()?;
            let from = metadata.len().saturating_sub(LAST_BYTES);
            let mut log = Self {
                inode: metadata.ino(),
                begun: Vec::new(),
                reader: BufReader::new(file.try_clone()?),
            };
            if near_end && from > 0 {
                file.seek(SeekFrom::Start(from))?;
                // Into the middle of a line, most likely.
                log.reader.read_until(b'\n', &mut Vec::new())?;
            }
            Ok(log)
        };
        open()
            .with_context(|| path.display().to_string())
            .map_err(CommandError::Failed)
    }

    /// The next whole line.
    fn next(&mut self) -> Result<Option<String>, CommandError> {
        let limit = LINE_MAX_BYTES.saturating_sub(self.begun.len() as u64);
        (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut self.begun)?;
        let is_whole = self.begun.ends_with(b"\n");
        if !is_whole && (self.begun.len() as u64) < LINE_MAX_BYTES {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.begun);
        Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }
}

/// Of what is there already: some dozens of decisions.
const LAST_BYTES: u64 = 16 * 1024;
/// No line of ours is as long.
const LINE_MAX_BYTES: u64 = 1024 * 1024;
/// Often enough to look immediate.
const PAUSE: Duration = Duration::from_millis(200);
