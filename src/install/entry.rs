//! What lies at a path: read whole, with all that it takes to put it back.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Absent,
    Directory,
    File {
        content: Vec<u8>,
        look: Look,
    },
    Link {
        target: PathBuf,
    },
    /// A socket, a device: nothing that is ours to replace.
    Other,
}

/// What a file is beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Look {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub(crate) modified: (i64, u32),
}

// === impl Entry ===

impl Entry {
    /// Reads what lies at `path`, and follows no link.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if absent(&error) => return Ok(Self::Absent),
            Err(error) => return Err(error),
        };
        let kind = metadata.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(path)?;
            return Ok(Self::Link { target });
        }
        if kind.is_dir() {
            return Ok(Self::Directory);
        }
        if !kind.is_file() {
            return Ok(Self::Other);
        }
        Ok(Self::File {
            content: fs::read(path)?,
            look: Look {
                mode: metadata.mode() & 0o7777,
                uid: metadata.uid(),
                gid: metadata.gid(),
                modified: (
                    metadata.mtime(),
                    u32::try_from(metadata.mtime_nsec()).unwrap_or_default(),
                ),
            },
        })
    }

    /// The content, if it is a file.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        match self {
            Self::File { content, .. } => Some(content),
            Self::Absent | Self::Directory | Self::Link { .. } | Self::Other => None,
        }
    }
}

/// Whether nothing is there: a file where a directory should be is as good.
fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound)
}
