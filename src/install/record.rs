//! What the journal says: each change, with what it takes to unmake it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::entry::Look;
use super::host::HOSTS_FILE;
use super::json_file::Edited;
use super::level::Level;
use super::plan::Apply;
use super::step::Part;
use crate::fingerprint::fingerprint;

/// What the journal says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Record {
    pub(super) version: u32,
    /// What is installed, once it is.
    pub(crate) level: Option<Level>,
    /// What one that did not come to its end was to install.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wanted: Option<Level>,
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
    pub(super) backups: u64,
    /// The directories that were made for the state directory to lie in, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) made: Vec<PathBuf>,
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
        let hosts_file = self.path.ends_with(HOSTS_FILE);
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
    pub(super) fn follow(&mut self, later: Self) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_version_wrote_down_is_read() {
        let text = r#"{ "version": 1, "level": "standard", "committed": [{
            "path": "/etc/docker/daemon.json", "part": "engine", "before": "absent",
            "after": { "file": { "sha256": "00" } }, "edits": [], "foreign": false
        }], "pending": [], "unapplied": false, "gates-ran": true, "backups": 3 }"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert!(!record.rules && !record.rules_ran && record.made.is_empty());
        assert_eq!(record.level(), Some(Level::Standard));
        // And that version reads what has nothing of what is new.
        let written = serde_json::to_value(&record).unwrap();
        let known: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(written, known);
    }
}
