//! Keeps a directory within its size: what was not asked for the longest goes first.
//!
//! There is no index that could be lost, locked or wrong: a file's size says how large it is and its time of access when it was
//! last asked for. The folders are looked at one after the other, a little at a time, so that a start costs nothing; of each,
//! the size and the oldest files are remembered. Other processes' files are found like one's own.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ramgate_policy::Digest;
use tokio_util::sync::CancellationToken;

use super::pinned::pinned;
use crate::mirror::Mirror;
use crate::pin::Pin;
use crate::store::names::{self, CONTENT};
use crate::store::{Backend, Disk, blocking};

/// What is known of a directory's content.
#[derive(Debug)]
pub(crate) struct Limit {
    disk: Disk,
    max_bytes: u64,
    pins: Vec<Pin>,
    pinned: HashSet<Digest>,
    folders: BTreeMap<PathBuf, Folder>,
}

#[derive(Debug, Default)]
struct Folder {
    size_bytes: u64,
    /// Its oldest files, oldest first.
    oldest: BTreeSet<Candidate>,
    /// Whether it has more.
    has_more: bool,
}

/// A file that may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// From when on.
    since: SystemTime,
    path: PathBuf,
    size_bytes: u64,
}

// === impl Limit ===

impl Limit {
    pub(crate) fn new(disk: Disk, max_bytes: u64, pins: Vec<Pin>) -> Self {
        Self {
            disk,
            max_bytes,
            pins,
            pinned: HashSet::new(),
            folders: BTreeMap::new(),
        }
    }

    /// All folders with content.
    pub(crate) fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for algorithm in std::fs::read_dir(self.disk.path(CONTENT))? {
            for folder in std::fs::read_dir(algorithm?.path())? {
                folders.push(folder?.path());
            }
        }
        Ok(folders)
    }

    /// Looks at a folder.
    pub(crate) fn survey(&mut self, path: &Path) -> io::Result<()> {
        let mut folder = Folder::default();
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            let Some((candidate, size)) = candidate(&path) else {
                continue;
            };
            folder.size_bytes += size;
            if self.is_pinned(&path) {
                continue;
            }
            folder.oldest.insert(candidate);
            if folder.oldest.len() > CANDIDATES {
                folder.oldest.pop_last();
                folder.has_more = true;
            }
        }
        self.folders.insert(path.to_owned(), folder);
        Ok(())
    }

    /// Removes what is too much; how many files and bytes it was.
    pub(crate) fn trim(&mut self) -> io::Result<(u64, u64)> {
        let mut total: u64 = self.folders.values().map(|folder| folder.size_bytes).sum();
        let (mut evicted, mut freed) = (0, 0);
        if total <= self.max_bytes {
            return Ok((evicted, freed));
        }
        self.pinned = pinned(&self.disk, &self.pins)?;
        // Somewhat more, so that not every download is followed by this.
        let target = self.max_bytes - self.max_bytes / 20;
        while total > target {
            let Some((path, oldest)) = self.oldest() else {
                tracing::warn!(
                    total,
                    max = self.max_bytes,
                    "the store is larger than max-size, and all that is left is pinned"
                );
                break;
            };
            if let Some(size) = self.remove(&oldest)? {
                total = total.saturating_sub(size);
                evicted += 1;
                freed += size;
            }
            self.forget(&path, &oldest)?;
        }
        if evicted > 0 {
            tracing::info!(
                evicted,
                freed,
                total,
                "evicted what was not asked for the longest"
            );
        }
        Ok((evicted, freed))
    }

    /// The file that was not asked for the longest, and its folder.
    fn oldest(&self) -> Option<(PathBuf, Candidate)> {
        let firsts = self
            .folders
            .iter()
            .filter_map(|(path, folder)| Some((path, folder.oldest.first()?)));
        let (path, oldest) = firsts.min_by_key(|(_, candidate)| candidate.since)?;
        Some((path.clone(), oldest.clone()))
    }

    /// Removes a file, unless it was asked for or pinned since it was looked at.
    fn remove(&self, oldest: &Candidate) -> io::Result<Option<u64>> {
        let now = candidate(&oldest.path).map(|(candidate, _)| candidate);
        match now {
            Some(now) if now.since > oldest.since || self.is_pinned(&oldest.path) => Ok(None),
            Some(_) => match std::fs::remove_file(&oldest.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(Some(oldest.size_bytes)),
            },
            None => Ok(Some(oldest.size_bytes)),
        }
    }

    fn forget(&mut self, path: &Path, oldest: &Candidate) -> io::Result<()> {
        let Some(folder) = self.folders.get_mut(path) else {
            return Ok(());
        };
        folder.oldest.remove(oldest);
        folder.size_bytes = folder.size_bytes.saturating_sub(oldest.size_bytes);
        if folder.oldest.is_empty() && folder.has_more {
            self.survey(path)?;
        }
        Ok(())
    }

    fn is_pinned(&self, path: &Path) -> bool {
        let components = path.iter().rev().take(3).collect::<Vec<_>>();
        let parts: Option<Vec<&str>> = components.iter().rev().map(|part| part.to_str()).collect();
        parts
            .and_then(|parts| names::digest(&format!("{CONTENT}/{}", parts.join("/"))))
            .is_some_and(|digest| self.pinned.contains(&digest))
    }
}

/// A file, and its size; `None` if it is gone.
fn candidate(path: &Path) -> Option<(Candidate, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    let used = metadata.accessed().or_else(|_| metadata.modified()).ok()?;
    let size = metadata.len();
    let grace = if size <= SMALL_BYTES {
        GRACE
    } else {
        Duration::ZERO
    };
    let candidate = Candidate {
        since: used + grace,
        path: path.to_owned(),
        size_bytes: size,
    };
    Some((candidate, size))
}

// === impl Mirror ===

impl Mirror {
    /// Keeps the store within its size until `shutdown`.
    pub(crate) async fn keep_within_limit(self, shutdown: CancellationToken) {
        let storage = &self.config().storage;
        let (Backend::Disk(disk), Some(max)) = (self.store().backend(), storage.max_size_bytes)
        else {
            return;
        };
        let mut limit = Limit::new(disk.clone(), max, storage.pins.clone());
        let mut pause = FIRST_PAUSE;
        let mut known = false;
        let mut round = Vec::new();
        loop {
            let mut folders = self.store().take_fresh();
            folders.extend(round.pop());
            if folders.is_empty() {
                // The first round begins here as well.
                round = limit.folders().unwrap_or_default();
            } else if round.is_empty() {
                known = true;
                pause = PAUSE;
            }
            let looked = blocking(move || {
                for folder in folders {
                    limit.survey(&folder)?;
                }
                // Before all is known it is not known whether it is too much.
                if known {
                    limit.trim()?;
                }
                Ok(limit)
            });
            match looked.await {
                Ok(same) => limit = same,
                Err(error) => {
                    tracing::error!(%error, "the store cannot be kept within its size");
                    limit = Limit::new(disk.clone(), max, storage.pins.clone());
                    known = false;
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// Files of a folder that are remembered: with 256 folders, 16,384 in all.
const CANDIDATES: usize = 64;
/// Manifests and configs cost nothing and are what an image is found by, and manifests are answered from memory, of which the file
/// system learns nothing.
const SMALL_BYTES: u64 = 64 * 1024;
const GRACE: Duration = Duration::from_hours(30 * 24);
/// Between two folders, at first and later: all 256 are known in a few seconds and seen again every few minutes.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_secs(1);
