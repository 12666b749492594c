//! Puts back what was there: byte for byte where nobody else has changed it since, and otherwise only what is ours.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;

use super::entry::Entry;
use super::executor::{Executor, Looks, clear_beside, put_file, put_link};
use super::journal::sync_parent;
use super::json_file::JsonFile;
use super::record::{After, Before, Change};
use super::step::{Part, below};
use crate::fingerprint::fingerprint;

/// Which changes are unmade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Those of the installation that did not come to its end.
    Pending,
    /// All.
    Everything,
}

// === impl Executor ===

impl Executor {
    /// Unmakes the changes of one part, the last first; what an administrator should know of it.
    ///
    /// # Errors
    /// When something cannot be put back. What was put back until then is so, and the rest still written down.
    pub(crate) fn unmake(&mut self, part: Part, extent: Extent) -> anyhow::Result<Vec<String>> {
        let mut notes = Vec::new();
        while let Some(change) = self.last(part, extent) {
            let note = self
                .put_back(&change)
                .with_context(|| change.path.display().to_string())?;
            notes.extend(note);
            let record = &mut self.journal.record;
            for list in [&mut record.pending, &mut record.committed] {
                if let Some(at) = list.iter().rposition(|known| *known == change) {
                    list.remove(at);
                    break;
                }
            }
            self.journal.save()?;
        }
        Ok(notes)
    }

    /// The last change of a part that is still to be unmade.
    fn last(&self, part: Part, extent: Extent) -> Option<Change> {
        let record = &self.journal.record;
        let committed = record
            .committed
            .iter()
            .filter(|_| extent == Extent::Everything);
        committed
            .chain(&record.pending)
            .rfind(|change| change.part == part)
            .cloned()
    }

    fn put_back(&self, change: &Change) -> anyhow::Result<Option<String>> {
        let real = below(&self.root, &change.path);
        clear_beside(&real)?;
        let now = Entry::read(&real)?;
        let shown = change.path.display();
        match (&change.after, &now) {
            // It went, or it was never made.
            (After::Directory, Entry::Directory) => match fs::remove_dir(&real) {
                Ok(()) => sync_parent(&real)?,
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(error) => return Err(error.into()),
            },
            (After::Directory, _) => {}
            (After::Link { target }, Entry::Link { target: now }) if now == target => {
                self.put_before(change, &real)?;
            }
            (After::File { sha256 }, Entry::File { content, .. })
                if fingerprint(content) == *sha256 && !change.foreign =>
            {
                self.put_before(change, &real)?;
            }
            (_, now) if is_before(now, &change.before) => {}
            (After::File { .. }, Entry::File { content, look }) if !change.edits.is_empty() => {
                return match unmade(change, content) {
                    Ok(content) => {
                        put_file(&real, &content, Looks::Changed(*look))?;
                        Ok(Some(format!(
                            "{shown} was changed since by others: only what ramgate had set was taken out"
                        )))
                    }
                    Err(problem) => Ok(Some(format!(
                        "{shown} was changed since by others and is left as it is, because {problem}; take ramgate's keys out by hand"
                    ))),
                };
            }
            (After::File { .. }, Entry::File { .. })
                if change.part == Part::Engine && change.before == Before::Absent =>
            {
                let mut aside = real.clone().into_os_string();
                aside.push(".ramgate-kept");
                fs::rename(&real, aside)?;
                sync_parent(&real)?;
                return Ok(Some(format!(
                    "{shown} was changed since by others: it is kept as {shown}.ramgate-kept, where the engine does not read it"
                )));
            }
            (_, Entry::Absent) => {
                return Ok(Some(format!("{shown} was removed since by others")));
            }
            _ => {
                return Ok(Some(format!(
                    "{shown} was changed since by others and is left as it is"
                )));
            }
        }
        Ok(None)
    }

    fn put_before(&self, change: &Change, real: &Path) -> anyhow::Result<()> {
        match &change.before {
            Before::Absent => {
                fs::remove_file(real)?;
                sync_parent(real)?;
            }
            Before::File { backup, look, .. } => {
                put_file(real, &self.journal.kept(backup)?, Looks::Restored(*look))?;
            }
            Before::Link { target } => put_link(real, target)?,
        }
        Ok(())
    }
}

/// Whether what is there is what was there: the change was never made.
fn is_before(now: &Entry, before: &Before) -> bool {
    match (now, before) {
        (Entry::Absent, Before::Absent) => true,
        (Entry::File { content, .. }, Before::File { sha256, .. }) => {
            fingerprint(content) == *sha256
        }
        (Entry::Link { target }, Before::Link { target: before }) => target == before,
        _ => false,
    }
}

/// A JSON file without our edits.
fn unmade(change: &Change, content: &[u8]) -> Result<Vec<u8>, super::json_file::InvalidJson> {
    let file = JsonFile::read(content)?;
    for edit in change.edits.iter().rev() {
        file.unmake(edit)?;
    }
    Ok(file.bytes())
}
