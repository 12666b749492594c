//! Which repositories have been seen to have what.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use ramgate_policy::{Digest, Repository};
use redb::{MultimapTableDefinition, ReadableDatabase as _};

use super::{CHAINS, Ledger, LedgerError, REPOSITORY, SIGHTINGS, store};
use crate::chain::chain_ids;

// === impl Ledger ===

impl Ledger {
    /// Notes that a repository has manifests or configs with these digests.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written.
    pub fn saw(&self, repository: &Repository, digests: &[&Digest]) -> Result<(), LedgerError> {
        let keys: Vec<&str> = digests.iter().map(|digest| digest.as_str()).collect();
        if self.note(SIGHTINGS, &keys, &repository.to_string())? {
            self.sightings.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// Grows whenever it becomes known that a repository has something. What [`Self::repositories`] said holds while this stays.
    #[must_use]
    pub fn sightings(&self) -> u64 {
        self.sightings.load(Ordering::Acquire)
    }

    /// Notes that a repository has an image with these layers.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written.
    pub fn saw_layers(
        &self,
        repository: &Repository,
        layers: &[Digest],
    ) -> Result<(), LedgerError> {
        let chains = chain_ids(layers);
        let Some(chain) = chains.last() else {
            return Ok(());
        };
        self.note(CHAINS, &[chain], &format!("{REPOSITORY}{repository}"))?;
        Ok(())
    }

    /// The repositories that are known to have a manifest or config with this digest.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn repositories(&self, digest: &Digest) -> Result<BTreeSet<Repository>, LedgerError> {
        let values = self.values(SIGHTINGS, digest.as_str())?;
        Ok(values.iter().filter_map(|text| text.parse().ok()).collect())
    }

    /// Adds `value` under the keys that do not have it. Most have it, and then nothing is written. Whether something was.
    fn note(
        &self,
        table: MultimapTableDefinition<'static, &'static str, &'static str>,
        keys: &[&str],
        value: &str,
    ) -> Result<bool, LedgerError> {
        let mut new = Vec::new();
        for key in keys {
            if !self.values(table, key)?.iter().any(|known| known == value) {
                new.push(*key);
            }
        }
        if new.is_empty() {
            return Ok(false);
        }
        let transaction = self.database.begin_write().map_err(store)?;
        {
            let mut entries = transaction.open_multimap_table(table).map_err(store)?;
            for key in new {
                entries.insert(key, value).map_err(store)?;
            }
        }
        transaction.commit().map_err(store)?;
        Ok(true)
    }

    pub(super) fn values(
        &self,
        table: MultimapTableDefinition<'static, &'static str, &'static str>,
        key: &str,
    ) -> Result<Vec<String>, LedgerError> {
        let transaction = self.database.begin_read().map_err(store)?;
        let entries = transaction.open_multimap_table(table).map_err(store)?;
        let mut values = Vec::new();
        for value in entries.get(key).map_err(store)? {
            values.push(value.map_err(store)?.value().to_owned());
        }
        Ok(values)
    }
}
