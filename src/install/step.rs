//! One change of one path, with all that is needed to show it, make it and unmake it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use super::entry::Entry;
use super::json_file::Edited;

/// What a change belongs to: the engine is told of the gates after they run, and of their end before they stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// ramgate's own: program, policy, settings, units.
    Gates,
    /// What the engine reads.
    Engine,
}

/// One change of one path.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) path: PathBuf,
    pub(crate) part: Part,
    /// What lies there now.
    pub(crate) before: Entry,
    pub(crate) after: Content,
    /// Which keys of a JSON file are changed; none where the whole file is ours.
    pub(crate) edits: Vec<Edited>,
    /// What it is for, to be read by an administrator.
    pub(crate) purpose: String,
}

/// What lies at a path afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file. `mode` is for a new one: one that is there keeps its own.
    File {
        content: Vec<u8>,
        mode: u32,
    },
    Link {
        target: PathBuf,
    },
    Directory {
        mode: u32,
    },
}

// === impl Step ===

impl Step {
    /// The change as a unified diff; of a program its sizes.
    pub(crate) fn diff(&self) -> String {
        let path = self.path.display();
        let (before, after) = match (&self.before, &self.after) {
            (_, Content::Directory { mode }) => {
                return format!("+++ {path}/ (directory, {mode:04o})\n");
            }
            (_, Content::Link { target }) => {
                return format!("+++ {path} -> {}\n", target.display());
            }
            (_, Content::File { content, mode }) if mode & 0o077 == 0 => {
                // Not for whoever looks over the shoulder, nor for logs.
                return format!("+++ {path} (secret, {mode:04o}, {} bytes)\n", content.len());
            }
            (before, Content::File { content, .. }) => {
                (before.content().unwrap_or_default(), content)
            }
        };
        let texts = std::str::from_utf8(before)
            .ok()
            .zip(std::str::from_utf8(after).ok());
        let Some((old, new)) =
            texts.filter(|(old, new)| !old.contains('\0') && !new.contains('\0'))
        else {
            return format!("+++ {path} ({} bytes, now {})\n", after.len(), before.len());
        };
        let from = match self.before {
            Entry::File { .. } => path.to_string(),
            Entry::Absent | Entry::Directory | Entry::Link { .. } | Entry::Other => {
                "/dev/null".to_owned()
            }
        };
        TextDiff::from_lines(old, new)
            .unified_diff()
            .header(&from, &path.to_string())
            .to_string()
    }

    /// Whether it changes a key of a JSON file, or one inside of it.
    pub(crate) fn edits_key(&self, wanted: &str) -> bool {
        self.edits.iter().any(|edit| edit.is_at(wanted))
    }
}

/// `path` below another root directory.
pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
