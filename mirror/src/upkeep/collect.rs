//! Removes what nobody can reach any more.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::SystemTime;

use ramgate_policy::Digest;
use serde::Serialize;

use super::Upkeep;
use super::limit::Limit;
use crate::storage::Place;
use crate::store::names::{self, CONTENT, INCOMING, Note, REPOSITORIES};
use crate::store::{ABANDONED, Backend, Entry, TagRecord, blocking, sweep, wall_clock};

/// What was removed.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Collected {
    /// Content that no repository is known to have.
    pub unreferenced: u64,
    /// Links and tags that lead nowhere.
    pub dangling: u64,
    /// Content above `max-size` that was not asked for the longest.
    pub evicted: u64,
    /// The bytes of all, and of downloads that a dead process left half done.
    pub freed_bytes: u64,
}

// === impl Upkeep ===

impl Upkeep {
    /// Removes what nobody can reach any more, and what is above the size that the settings allow.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn collect(&self) -> io::Result<Collected> {
        let mut collected = Collected {
            freed_bytes: self.sweep()?,
            ..Collected::default()
        };
        let now = wall_clock();
        let mut contents: HashMap<Digest, Entry> = HashMap::new();
        let mut note = |entry: Entry| {
            if let Some(digest) = names::digest(&entry.name) {
                contents.insert(digest, entry);
            }
        };
        self.backend.walk(CONTENT, &mut note).await?;
        let (dangling, referenced) = self.links(&contents, now).await?;
        for name in dangling {
            self.backend.remove(&name).await?;
            collected.dangling += 1;
        }
        for (digest, entry) in &contents {
            if !referenced.contains(digest) && is_old(entry, now) {
                self.backend.remove(&entry.name).await?;
                collected.unreferenced += 1;
                collected.freed_bytes += entry.size_bytes;
            }
        }
        let (evicted, freed) = self.evict().await?;
        collected.evicted = evicted;
        collected.freed_bytes += freed;
        Ok(collected)
    }

    fn sweep(&self) -> io::Result<u64> {
        let folder = match &self.storage.place {
            Place::Directory(root) => root.join(INCOMING),
            Place::Bucket(bucket) => bucket.spool.clone(),
        };
        match sweep(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            swept => swept,
        }
    }

    /// The names that lead nowhere, and the content that others lead to.
    async fn links(
        &self,
        contents: &HashMap<Digest, Entry>,
        now: SystemTime,
    ) -> io::Result<(Vec<String>, HashSet<Digest>)> {
        let (mut dangling, mut tags, mut referenced) = (Vec::new(), Vec::new(), HashSet::new());
        let mut sort = |entry: Entry| match Note::parse(&entry.name) {
            Some(Note::Link(_, _, digest)) if contents.contains_key(&digest) => {
                referenced.insert(digest);
            }
            // Half written by a process that died, or of content that is gone.
            Some(Note::Link(..)) | None if is_old(&entry, now) => dangling.push(entry.name),
            Some(Note::Link(..)) | None => {}
            Some(Note::Tag(..)) => tags.push(entry),
        };
        self.backend.walk(REPOSITORIES, &mut sort).await?;
        for entry in tags {
            let record = self.backend.read(&entry.name).await?;
            let record = record.and_then(|bytes| serde_json::from_slice::<TagRecord>(&bytes).ok());
            let digest = record.and_then(|record| record.digest());
            let leads = digest.is_some_and(|digest| contents.contains_key(&digest));
            if !leads && is_old(&entry, now) {
                dangling.push(entry.name);
            }
        }
        Ok((dangling, referenced))
    }

    async fn evict(&self) -> io::Result<(u64, u64)> {
        let (Backend::Disk(disk), Some(max)) = (&self.backend, self.storage.max_size_bytes) else {
            return Ok((0, 0));
        };
        let mut limit = Limit::new(disk.clone(), max, self.storage.pins.clone());
        blocking(move || {
            for folder in limit.folders()? {
                limit.survey(&folder)?;
            }
            limit.trim()
        })
        .await
    }
}

/// What is younger may be in use by a process that has not got round to the rest.
fn is_old(entry: &Entry, now: SystemTime) -> bool {
    now.duration_since(entry.modified)
        .is_ok_and(|age| age > ABANDONED)
}
