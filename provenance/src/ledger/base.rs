//! What an image rests on: the longest known chain of layers that it begins with.

use ramgate_policy::Digest;

use super::{CHAINS, IMAGE, Ledger, LedgerError, REPOSITORY};
use crate::chain::chain_ids;
use crate::record::Base;

// === impl Ledger ===

impl Ledger {
    /// The known content with the longest chain of layers that `image`, with these layers, begins with.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn base(&self, image: &Digest, layers: &[Digest]) -> Result<Base, LedgerError> {
        for chain in chain_ids(layers).iter().rev() {
            let mut base = Base::default();
            for source in self.values(CHAINS, chain)? {
                if let Some(repository) = source.strip_prefix(REPOSITORY) {
                    base.repositories.extend(repository.parse());
                } else if let Some(id) = source.strip_prefix(IMAGE) {
                    base.images.extend(id.parse());
                }
            }
            base.images.remove(image);
            self.keep_lowest(image, &mut base);
            if !base.is_empty() {
                return Ok(base);
            }
        }
        Ok(Base::default())
    }

    /// Drops, of images with the same chain, those that say nothing more: where origins are known, they alone decide; and an image
    /// that rests on another of them, or on `image`, is judged by that. Else each of a thousand builds that differ in a label
    /// would rest on all before it.
    fn keep_lowest(&self, image: &Digest, base: &mut Base) {
        let all = base.images.clone();
        let has_origins = |id: &Digest| {
            let record = self.record(id);
            record.is_some_and(|record| !record.origins.is_empty())
        };
        if !base.repositories.is_empty() || all.iter().any(has_origins) {
            base.images.retain(has_origins);
            return;
        }
        base.images.retain(|id| {
            let record = self.record(id);
            let below = record.iter().flat_map(|record| &record.base.images);
            !below.into_iter().any(|id| id == image || all.contains(id))
        });
    }
}
