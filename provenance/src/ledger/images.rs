//! The records of images.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use ramgate_policy::Digest;

use super::{CHAINS, IMAGE, IMAGES, Ledger, LedgerError, store};
use crate::chain::chain_ids;
use crate::record::{Record, Way};

// === impl Ledger ===

impl Ledger {
    /// The record of an image.
    #[must_use]
    pub fn record(&self, image: &Digest) -> Option<Arc<Record>> {
        self.records
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(image)
            .cloned()
    }

    /// How many images it has records of.
    #[must_use]
    pub fn len(&self) -> usize {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        records.len()
    }

    /// Whether it has no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All records, by image ID.
    #[must_use]
    pub fn records(&self) -> BTreeMap<Digest, Arc<Record>> {
        self.records
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Adds to what is known of an image, and says what is known of it now.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written; then it is not known either.
    pub fn learn(&self, image: &Digest, later: Record) -> Result<Arc<Record>, LedgerError> {
        // One writer at a time: the store has one as well.
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let known = records.get(image);
        let record = match known {
            None => later,
            Some(known) => {
                let mut merged = known.as_ref().clone();
                merged.merge(later);
                if merged == **known {
                    return Ok(Arc::clone(known));
                }
                merged
            }
        };
        self.write(&mut records, image, record)
    }

    fn write(
        &self,
        records: &mut BTreeMap<Digest, Arc<Record>>,
        image: &Digest,
        record: Record,
    ) -> Result<Arc<Record>, LedgerError> {
        let transaction = self.database.begin_write().map_err(store)?;
        {
            let bytes = serde_json::to_vec(&record)?;
            let mut images = transaction.open_table(IMAGES).map_err(store)?;
            images
                .insert(image.as_str(), bytes.as_slice())
                .map_err(store)?;
            if let Some(chain) = chain_ids(&record.layers).last() {
                let mut chains = transaction.open_multimap_table(CHAINS).map_err(store)?;
                let source = format!("{IMAGE}{image}");
                chains
                    .insert(chain.as_str(), source.as_str())
                    .map_err(store)?;
            }
        }
        transaction.commit().map_err(store)?;
        let record = Arc::new(record);
        records.insert(image.clone(), Arc::clone(&record));
        Ok(record)
    }

    /// Forgets how an image came and from where. Whether there was a record.
    ///
    /// It stays as one of which nothing is known: without a record it would be taken for one that has just been built.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written.
    pub fn forget(&self, image: &Digest) -> Result<bool, LedgerError> {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = records.get(image) else {
            return Ok(false);
        };
        let mut record = Record::new(Way::Unknown, known.since);
        record.layers.clone_from(&known.layers);
        self.write(&mut records, image, record)?;
        Ok(true)
    }

    /// Drops what is known of images that are no longer there, but not of those that others rest on. How many were dropped.
    ///
    /// Should such an image come again, it is judged by how it comes then, and by the repositories that are known to have it, which stay.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written; then all are still known.
    pub fn drop_gone(&self, gone: &BTreeSet<Digest>) -> Result<usize, LedgerError> {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let mut gone: BTreeSet<&Digest> = gone
            .iter()
            .filter(|image| records.contains_key(*image))
            .collect();
        // What stays keeps what it rests on, and that what lies below it.
        let mut stay: Vec<&Digest> = records.keys().filter(|id| !gone.contains(id)).collect();
        while let Some(id) = stay.pop() {
            let below = records.get(id).map(|record| &record.base.images);
            stay.extend(below.into_iter().flatten().filter(|id| gone.remove(id)));
        }
        if gone.is_empty() {
            return Ok(0);
        }
        let gone: Vec<Digest> = gone.into_iter().cloned().collect();
        let transaction = self.database.begin_write().map_err(store)?;
        {
            let mut images = transaction.open_table(IMAGES).map_err(store)?;
            let mut chains = transaction.open_multimap_table(CHAINS).map_err(store)?;
            for id in &gone {
                images.remove(id.as_str()).map_err(store)?;
                let layers = records.get(id).map(|record| record.layers.as_slice());
                if let Some(chain) = chain_ids(layers.unwrap_or_default()).last() {
                    let source = format!("{IMAGE}{id}");
                    chains
                        .remove(chain.as_str(), source.as_str())
                        .map_err(store)?;
                }
            }
        }
        transaction.commit().map_err(store)?;
        records.retain(|id, _| gone.binary_search(id).is_err());
        Ok(gone.len())
    }
}
