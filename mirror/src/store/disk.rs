//! Things in a directory. Any number of processes may use it at once: what is there was put there whole, under its name.

use std::fs::{File, FileTimes};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;

use super::content::Content;
use super::names::{CONTENT, INCOMING, REPOSITORIES};
use super::pieces::Pieces;

/// A directory.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    root: Arc<Path>,
}

// === impl Disk ===

impl Disk {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        for folder in [CONTENT, REPOSITORIES, INCOMING] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root: root.into() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) async fn read(&self, name: &str) -> io::Result<Option<Bytes>> {
        let path = self.path(name);
        blocking(move || found(std::fs::read(path).map(Bytes::from))).await
    }

    /// Writes a small file so that it is there whole or not at all.
    pub(crate) async fn write(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        let place = self.path(name);
        blocking(move || write(&place, &bytes)).await
    }

    pub(crate) async fn exists(&self, name: &str) -> io::Result<bool> {
        let path = self.path(name);
        blocking(move || std::fs::exists(path)).await
    }

    /// The content under `name`, if `link` is there, and notes that it was asked for.
    pub(crate) async fn linked(
        &self,
        link: &str,
        name: &str,
        pieces: Arc<Pieces>,
        now: SystemTime,
    ) -> io::Result<Option<Content>> {
        let (link, path) = (self.path(link), self.path(name));
        blocking(move || {
            if !std::fs::exists(link)? {
                return Ok(None);
            }
            open(&path, pieces, now)
        })
        .await
    }

    pub(crate) async fn open_content(
        &self,
        name: &str,
        pieces: Arc<Pieces>,
        now: SystemTime,
    ) -> io::Result<Option<Content>> {
        let path = self.path(name);
        blocking(move || open(&path, pieces, now)).await
    }

    /// Takes over a file that is complete. It is on the disk before it has its name.
    pub(crate) async fn adopt(&self, name: &str, file: Arc<File>, path: PathBuf) -> io::Result<()> {
        let place = self.path(name);
        blocking(move || {
            file.sync_all()?;
            create_parent(&place)?;
            std::fs::rename(path, place)
        })
        .await
    }

    pub(crate) async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        blocking(move || found(std::fs::remove_file(path)).map(|_| ())).await
    }
}

/// Runs what may wait for the disk beside the tasks that must not.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// A name that no other process uses either, even one that has the same number in a container of its own.
pub(crate) fn unique() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

pub(crate) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(path: &Path, pieces: Arc<Pieces>, now: SystemTime) -> io::Result<Option<Content>> {
    let Some(file) = found(File::open(path))? else {
        return Ok(None);
    };
    let metadata = file.metadata()?;
    let age = metadata
        .accessed()
        .ok()
        .and_then(|accessed| now.duration_since(accessed).ok());
    // The time of the last access is when it was last asked for; the file system's own notion of it depends on mount options.
    if age.is_none_or(|age| age > TOUCH) {
        // Somebody else's directory: then it counts as asked for when it came.
        let _ = file.set_times(FileTimes::new().set_accessed(now));
    }
    Ok(Some(Content::file(Arc::new(file), metadata.len(), pieces)))
}

fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    create_parent(place)?;
    // Tags begin with a letter, digit or underscore and links with a digit or letter, so this name is nobody's.
    let temporary = place.with_file_name(format!(".{}", unique()));
    let written =
        std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, place));
    if written.is_err() {
        // A disk that is full keeps the empty file.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn create_parent(place: &Path) -> io::Result<()> {
    match place.parent() {
        Some(parent) => std::fs::create_dir_all(parent),
        None => Ok(()),
    }
}

/// How exactly it is known when content was last asked for.
const TOUCH: Duration = Duration::from_mins(10);
