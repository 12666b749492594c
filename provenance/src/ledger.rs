//! The ledger: the records of all images of one engine, and what mirror and engine have seen of their origins, kept over
//! restarts and crashes.
//!
//! redb, because it is one file, needs no server, is crash-safe without care and has no `unsafe` of ours. Records are few (an
//! engine has some thousand images) and asked for on every start of a container, so they are held in memory as well; what
//! the mirror has seen can be a million digests, and stays on disk.

mod base;
mod error;
mod facts;
mod images;
mod mounts;
mod sightings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use ramgate_policy::Digest;
use redb::backends::InMemoryBackend;
use redb::{Database, MultimapTableDefinition, ReadableTable as _, TableDefinition};

use crate::record::Record;
pub use error::LedgerError;
use error::store;
pub use mounts::Mount;

/// The ledger of one engine.
#[derive(Debug)]
pub struct Ledger {
    database: Database,
    records: RwLock<BTreeMap<Digest, Arc<Record>>>,
    sightings: AtomicU64,
}

/// A ledger that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub ledger: Ledger,
    /// Where a damaged one was put, if there was one.
    pub damaged: Option<PathBuf>,
}

// === impl Ledger ===

impl Ledger {
    /// Opens the ledger at `path`, or makes one. One that is damaged is put aside, and a new one made: what was known is then
    /// learned anew from the engine, and what cannot be learned is unknown.
    ///
    /// # Errors
    /// [`LedgerError`] when another process has it, or when neither it nor a new one can be opened.
    pub fn open(path: &Path) -> Result<Opened, LedgerError> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        // A damaged page can make the store panic rather than say so.
        let opened = std::panic::catch_unwind(|| Self::open_sound(path));
        match opened {
            Ok(Ok(ledger)) => Ok(Opened {
                ledger,
                damaged: None,
            }),
            // Too many open files, or a disk that cannot be reached, is no damage.
            Ok(Err(error)) if !error.is_damage() => Err(error),
            Ok(Err(_)) | Err(_) => {
                let aside = path.with_extension("damaged");
                std::fs::rename(path, &aside)?;
                Ok(Opened {
                    ledger: Self::open_sound(path)?,
                    damaged: Some(aside),
                })
            }
        }
    }

    /// A ledger that nobody else sees and that is gone with the process.
    ///
    /// # Errors
    /// [`LedgerError`] when there is no memory for it.
    pub fn in_memory() -> Result<Self, LedgerError> {
        let builder = Database::builder();
        let database = builder
            .create_with_backend(InMemoryBackend::new())
            .map_err(store)?;
        Self::read(database)
    }

    fn open_sound(path: &Path) -> Result<Self, LedgerError> {
        let database = match Database::create(path) {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(LedgerError::InUse),
            Err(error) => return Err(store(error)),
        };
        Self::read(database)
    }

    fn read(database: Database) -> Result<Self, LedgerError> {
        let transaction = database.begin_write().map_err(store)?;
        let mut records = BTreeMap::new();
        {
            let images = transaction.open_table(IMAGES).map_err(store)?;
            for entry in images.iter().map_err(store)? {
                let (id, record) = entry.map_err(store)?;
                // What this version cannot read is not known to it.
                if let (Ok(id), Ok(record)) =
                    (id.value().parse(), serde_json::from_slice(record.value()))
                {
                    records.insert(id, Arc::new(record));
                }
            }
            transaction.open_multimap_table(CHAINS).map_err(store)?;
            transaction.open_multimap_table(SIGHTINGS).map_err(store)?;
            transaction.open_table(FACTS).map_err(store)?;
            transaction.open_table(MOUNTS).map_err(store)?;
        }
        transaction.commit().map_err(store)?;
        Ok(Self {
            database,
            records: RwLock::new(records),
            sightings: AtomicU64::new(0),
        })
    }
}

/// Image ID → record in JSON.
const IMAGES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("images");
/// Chain ID of all layers → `image:ID` or `repository:NAME` of what has them.
const CHAINS: MultimapTableDefinition<'static, &str, &str> = MultimapTableDefinition::new("chains");
/// Digest of a manifest or config → the repositories that have it.
const SIGHTINGS: MultimapTableDefinition<'static, &str, &str> =
    MultimapTableDefinition::new("sightings");
/// Numbers by name.
const FACTS: TableDefinition<'static, &str, u64> = TableDefinition::new("facts");
/// Path of a mount in a container → that container's ID, and the ID of the image.
const MOUNTS: TableDefinition<'static, &str, (&str, &str)> = TableDefinition::new("mounts");
/// What the sources of a chain begin with.
const IMAGE: &str = "image:";
const REPOSITORY: &str = "repository:";
