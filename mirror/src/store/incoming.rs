//! Content on its way in: a growing file that can be read while it grows, and that has no name yet under which anybody asks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use ramgate_policy::Digest;
use ramgate_provenance::{Verified, Verifier};

use super::disk::unique;

/// Content on its way in. Dropped before it is kept, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    verifier: Verifier,
    size: u64,
}

// === impl Incoming ===

impl Incoming {
    /// Begins to take in content that should have `digest`. Waits for the disk.
    pub(super) fn begin(folder: &Path, digest: &Digest) -> io::Result<Self> {
        let path = folder.join(unique());
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self {
            file: Arc::new(file),
            path,
            verifier: Verifier::new(digest),
            size: 0,
        })
    }

    /// Writes what comes next. Waits for the disk. After a failure, what was taken in is what [`Self::size`] says.
    pub(crate) fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.file.write_all_at(piece, self.size)?;
            self.verifier.update(piece);
            self.size += piece.len() as u64;
        }
        Ok(())
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The file, to read what has arrived.
    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// The check of what has arrived, to be carried on elsewhere.
    pub(crate) fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// The proof that what came in is what its digest says, if it is.
    pub(crate) fn verify(&mut self) -> Option<Verified> {
        self.verifier.verify()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already if it was kept; else nothing may be left, and nobody can be told.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes what processes have left here that died; how much it was.
pub(crate) fn sweep(folder: &Path) -> io::Result<u64> {
    let mut swept = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // A live mirror on the same directory would still be writing what it has just begun, and may end it at any time.
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        let age = metadata.modified()?.elapsed().unwrap_or_default();
        if age > ABANDONED && std::fs::remove_file(path).is_ok() {
            swept += metadata.len();
        }
    }
    Ok(swept)
}

/// A download that has not been written to for so long is nobody's any more; an upstream that is silent for 30 s is given up.
pub(crate) const ABANDONED: Duration = Duration::from_hours(1);
