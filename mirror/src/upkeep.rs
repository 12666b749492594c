//! What administrators do with the store: look at it, verify it, clean it up. Beside a running mirror or without one.
//!
//! Nothing is locked. What a request is reading is not disturbed, and what is removed wrongly early, as content that is linked
//! at this very moment, is fetched again.

mod collect;
pub(crate) mod limit;
mod pinned;
mod statistics;
mod verify;

use std::io;

pub use collect::Collected;
pub use statistics::{RepositoryStatistics, Statistics};
pub use verify::Verification;

use crate::storage::Storage;
use crate::store::Backend;

/// A store, as administrators see it.
#[derive(Debug)]
pub struct Upkeep {
    storage: Storage,
    backend: Backend,
}

// === impl Upkeep ===

impl Upkeep {
    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(storage: Storage) -> io::Result<Self> {
        let backend = Backend::open(&storage.place)?;
        Ok(Self { storage, backend })
    }
}
