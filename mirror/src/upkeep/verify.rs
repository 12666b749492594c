//! Whether all that is kept still is what its name says: disks rot.

use std::io;

use futures_util::TryStreamExt as _;
use ramgate_provenance::Verifier;
use serde::Serialize;

use super::Upkeep;
use crate::store::Entry;
use crate::store::names::{self, CONTENT};

/// What a verification has found so far.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verification {
    /// What there is.
    pub contents: u64,
    /// Its bytes.
    pub size_bytes: u64,
    /// What of it was read.
    pub verified: u64,
    /// The bytes of that.
    pub verified_bytes: u64,
    /// What was not what its name says, and is removed.
    pub removed: Vec<String>,
}

// === impl Upkeep ===

impl Upkeep {
    /// Reads all content and removes what is wrong. Tells `progress` after each.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn verify(
        &self,
        mut progress: impl FnMut(&Verification) + Send,
    ) -> io::Result<Verification> {
        let mut entries = Vec::new();
        self.backend
            .walk(CONTENT, &mut |entry| entries.push(entry))
            .await?;
        let mut found = Verification {
            contents: entries.len() as u64,
            size_bytes: entries.iter().map(|entry| entry.size_bytes).sum(),
            ..Verification::default()
        };
        for entry in entries {
            if self.is_right(&entry).await? == Some(false) {
                tracing::error!(
                    name = entry.name,
                    "what is kept is not what its name says; it is removed"
                );
                self.backend.remove(&entry.name).await?;
                found.removed.push(entry.name);
            }
            found.verified += 1;
            found.verified_bytes += entry.size_bytes;
            progress(&found);
        }
        Ok(found)
    }

    /// Whether content is what its name says; `None` if it is gone meanwhile.
    async fn is_right(&self, entry: &Entry) -> io::Result<Option<bool>> {
        let Some(digest) = names::digest(&entry.name) else {
            return Ok(Some(false));
        };
        let Some(content) = self.backend.inspect(&entry.name).await? else {
            return Ok(None);
        };
        let mut verifier = Verifier::new(&digest);
        let size = content.size();
        let mut stream = content.stream(0..size, None);
        loop {
            match stream.try_next().await {
                Ok(Some(piece)) => verifier.update(&piece),
                Ok(None) => return Ok(Some(verifier.verify().is_some())),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Some(false));
                }
                Err(error) => return Err(error),
            }
        }
    }
}
