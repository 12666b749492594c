//! How much is kept, and for whom.

use std::collections::{BTreeMap, HashMap};
use std::io;

use ramgate_policy::{Digest, Repository};
use serde::Serialize;

use super::Upkeep;
use crate::store::Kind;
use crate::store::names::{self, CONTENT, Note, REPOSITORIES};

/// How much is kept.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Statistics {
    /// Pieces of content: manifests and blobs.
    pub contents: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// The content that no repository is known to have, as after an eviction of its links.
    pub unreferenced: u64,
    /// By repository.
    pub repositories: BTreeMap<Repository, RepositoryStatistics>,
}

/// What is kept for a repository. Content that several have is counted for each.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RepositoryStatistics {
    /// Its manifests.
    pub manifests: u64,
    /// Its blobs.
    pub blobs: u64,
    /// Its tags.
    pub tags: u64,
    /// The bytes of its manifests and blobs.
    pub size_bytes: u64,
}

// === impl Upkeep ===

impl Upkeep {
    /// How much is kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn statistics(&self) -> io::Result<Statistics> {
        // Its size, and whether a repository has it.
        let mut contents: HashMap<Digest, (u64, bool)> = HashMap::new();
        let mut note = |entry: crate::store::Entry| {
            if let Some(digest) = names::digest(&entry.name) {
                contents.insert(digest, (entry.size_bytes, false));
            }
        };
        self.backend.walk(CONTENT, &mut note).await?;
        let mut repositories: BTreeMap<Repository, RepositoryStatistics> = BTreeMap::new();
        let mut count = |entry: crate::store::Entry| {
            let Some(note) = Note::parse(&entry.name) else {
                return;
            };
            let statistics = repositories.entry(note.repository().clone()).or_default();
            match note {
                Note::Tag(..) => statistics.tags += 1,
                Note::Link(_, kind, digest) => {
                    // A link may outlive what it leads to.
                    let Some((size, referenced)) = contents.get_mut(&digest) else {
                        return;
                    };
                    *referenced = true;
                    statistics.size_bytes += *size;
                    match kind {
                        Kind::Manifest => statistics.manifests += 1,
                        Kind::Blob => statistics.blobs += 1,
                    }
                }
            }
        };
        self.backend.walk(REPOSITORIES, &mut count).await?;
        let unreferenced = contents.values().filter(|(_, referenced)| !referenced);
        Ok(Statistics {
            contents: contents.len() as u64,
            size_bytes: contents.values().map(|(size, _)| size).sum(),
            unreferenced: unreferenced.count() as u64,
            repositories,
        })
    }
}
