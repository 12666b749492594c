//! The ledger: the records of all images of one engine, and what mirror and engine have seen of their origins, kept over
//! restarts and crashes.
//!
//! redb, because it is one file, needs no server, is crash-safe without care and has no `unsafe` of ours. Records are few (an
//! engine has some thousand images) and asked for on every start of a container, so they are held in memory as well; what
//! the mirror has seen can be a million digests, and stays on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ramgate_policy::{Digest, Repository};
use redb::backends::InMemoryBackend;
use redb::{
    Database, MultimapTableDefinition, ReadableDatabase as _, ReadableTable as _, TableDefinition,
};
use thiserror::Error;

use crate::chain::chain_ids;
use crate::record::{Base, Record, Way};

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

/// Why a ledger cannot be read or written.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Another process has it.
    #[error("the ledger is in use by another process")]
    InUse,
    /// Its directory cannot be made, or a damaged ledger cannot be put aside.
    #[error("the ledger's directory: {0}")]
    Directory(#[from] std::io::Error),
    /// A record cannot be written.
    #[error("a record cannot be written: {0}")]
    Record(#[from] serde_json::Error),
    /// A write did not come to its end.
    #[error("writing to the ledger was interrupted")]
    Interrupted,
    /// The store cannot be read or written.
    #[error("the ledger cannot be read or written: {0}")]
    Store(Box<redb::Error>),
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
        }
        transaction.commit().map_err(store)?;
        Ok(Self {
            database,
            records: RwLock::new(records),
            sightings: AtomicU64::new(0),
        })
    }

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

    /// Up to when the engine's events have been taken in: nanoseconds since 1970 by the engine's clock.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn watched_until(&self) -> Result<Option<u64>, LedgerError> {
        self.fact(WATCHED_UNTIL)
    }

    /// Up to when every container that was started has been judged: nanoseconds since 1970 by the engine's clock. Events are taken in
    /// for images alone as well, so this can be earlier.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn judged_until(&self) -> Result<Option<u64>, LedgerError> {
        self.fact(JUDGED_UNTIL)
    }

    /// Notes up to when the engine's events have been taken in.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written.
    pub fn set_watched_until(&self, nanoseconds: u64) -> Result<(), LedgerError> {
        self.set_fact(WATCHED_UNTIL, nanoseconds)
    }

    /// Notes up to when every container that was started has been judged.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written.
    pub fn set_judged_until(&self, nanoseconds: u64) -> Result<(), LedgerError> {
        self.set_fact(JUDGED_UNTIL, nanoseconds)
    }

    fn fact(&self, name: &str) -> Result<Option<u64>, LedgerError> {
        let transaction = self.database.begin_read().map_err(store)?;
        let facts = transaction.open_table(FACTS).map_err(store)?;
        let value = facts.get(name).map_err(store)?;
        Ok(value.map(|value| value.value()))
    }

    fn set_fact(&self, name: &str, value: u64) -> Result<(), LedgerError> {
        let transaction = self.database.begin_write().map_err(store)?;
        {
            let mut facts = transaction.open_table(FACTS).map_err(store)?;
            facts.insert(name, value).map_err(store)?;
        }
        transaction.commit().map_err(store)
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

    fn values(
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

// === impl LedgerError ===

impl LedgerError {
    /// Whether it is the ledger's content that is wrong.
    fn is_damage(&self) -> bool {
        let Self::Store(error) = self else {
            return false;
        };
        if let redb::Error::Io(error) = error.as_ref() {
            let kind = error.kind();
            return kind == ErrorKind::InvalidData || kind == ErrorKind::UnexpectedEof;
        }
        matches!(
            error.as_ref(),
            redb::Error::Corrupted(_)
                | redb::Error::RepairAborted
                | redb::Error::TableTypeMismatch { .. }
                | redb::Error::UpgradeRequired(_)
        )
    }
}

fn store(error: impl Into<redb::Error>) -> LedgerError {
    LedgerError::Store(Box::new(error.into()))
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
const WATCHED_UNTIL: &str = "watched-until";
const JUDGED_UNTIL: &str = "judged-until";
const IMAGE: &str = "image:";
const REPOSITORY: &str = "repository:";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Way;

    fn digest(digit: char) -> Digest {
        format!("sha256:{}", digit.to_string().repeat(64))
            .parse()
            .unwrap()
    }

    fn open(path: &Path) -> Ledger {
        let opened = Ledger::open(path).unwrap();
        assert_eq!(opened.damaged, None);
        opened.ledger
    }

    fn with_layers(way: Way, layers: &[char]) -> Record {
        Record {
            layers: layers.iter().copied().map(digest).collect(),
            ..Record::new(way, 1)
        }
    }

    #[test]
    fn what_is_gone_is_dropped_unless_something_rests_on_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.redb");
        let ledger = open(&path);
        let learn = |id: char, layers: &[char], base: &[char]| {
            let mut record = with_layers(Way::Load, layers);
            record.base.images = base.iter().copied().map(digest).collect();
            ledger.learn(&digest(id), record).unwrap();
        };
        learn('a', &['1'], &[]);
        learn('b', &['1', '2'], &['a']);
        learn('c', &['1', '2', '3'], &['b']);
        learn('d', &['4'], &[]);
        let all: BTreeSet<Digest> = ['a', 'b', 'd', 'f'].into_iter().map(digest).collect();
        assert_eq!(
            ledger.drop_gone(&all).unwrap(),
            1,
            "`c` rests on `b`, and that on `a`"
        );
        assert!(ledger.record(&digest('a')).is_some());
        assert!(ledger.record(&digest('d')).is_none());
        assert_eq!(
            ledger.base(&digest('e'), &[digest('4')]).unwrap(),
            Base::default()
        );
        let all = ['a', 'b', 'c'].into_iter().map(digest).collect();
        assert_eq!(ledger.drop_gone(&all).unwrap(), 3);
        drop(ledger);
        assert!(open(&path).is_empty());
    }

    #[test]
    fn what_was_learned_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/ledger.redb");
        let ledger = open(&path);
        ledger
            .learn(&digest('a'), with_layers(Way::Pull, &['1', '2']))
            .unwrap();
        let alpine: Repository = "alpine".parse().unwrap();
        ledger.saw(&alpine, &[&digest('b'), &digest('c')]).unwrap();
        ledger.set_watched_until(7).unwrap();
        ledger.set_judged_until(5).unwrap();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::InUse)));
        drop(ledger);

        let ledger = open(&path);
        assert_eq!(ledger.record(&digest('a')).unwrap().way, Way::Pull);
        assert_eq!(
            ledger.repositories(&digest('c')).unwrap(),
            [alpine.clone()].into()
        );
        let before = ledger.sightings();
        ledger.saw(&alpine, &[&digest('c')]).unwrap();
        assert_eq!(ledger.sightings(), before);
        ledger.saw(&alpine, &[&digest('e')]).unwrap();
        assert!(ledger.sightings() > before);
        assert!(ledger.repositories(&digest('d')).unwrap().is_empty());
        assert_eq!(ledger.watched_until().unwrap(), Some(7));
        assert_eq!(ledger.judged_until().unwrap(), Some(5));
        assert!(ledger.forget(&digest('a')).unwrap());
        assert!(!ledger.forget(&digest('e')).unwrap());
        drop(ledger);
        // Not gone: what has no record is taken for something new.
        let forgotten = open(&path).record(&digest('a')).unwrap();
        assert_eq!((forgotten.way, forgotten.layers.len()), (Way::Unknown, 2));
    }

    #[test]
    fn a_base_is_what_has_the_longest_chain() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(&directory.path().join("ledger.redb"));
        let base = |layers: &[char]| {
            let layers: Vec<Digest> = layers.iter().copied().map(digest).collect();
            ledger.base(&digest('f'), &layers).unwrap()
        };
        assert!(base(&['1']).is_empty());
        let alpine: Repository = "alpine".parse().unwrap();
        ledger.saw_layers(&alpine, &[digest('1')]).unwrap();
        ledger
            .learn(&digest('a'), with_layers(Way::Pull, &['1', '2']))
            .unwrap();
        ledger
            .learn(&digest('f'), with_layers(Way::Build, &['1', '2', '3']))
            .unwrap();
        assert_eq!(base(&['1']).repositories, [alpine].into());
        assert_eq!(base(&['1', '2', '3']).images, [digest('a')].into());
        assert_eq!(base(&['1', '2', '4']).images, [digest('a')].into());
        assert!(base(&['2', '1']).is_empty());
        // An image that only has other metadata than its base has its whole chain.
        assert_eq!(base(&['1', '2']).images, [digest('a')].into());
    }

    #[test]
    fn of_images_with_one_chain_the_lowest_is_the_base() {
        let ledger = Ledger::in_memory().unwrap();
        let layers = [digest('1')];
        ledger
            .learn(&digest('a'), with_layers(Way::Unknown, &['1']))
            .unwrap();
        for upper in ['b', 'c', 'd'] {
            let base = ledger.base(&digest(upper), &layers).unwrap();
            assert_eq!(base.images, [digest('a')].into());
            let mut record = with_layers(Way::Build, &['1']);
            record.base = base;
            ledger.learn(&digest(upper), record).unwrap();
        }
        // Learned again, it does not rest on what rests on it.
        assert!(ledger.base(&digest('a'), &layers).unwrap().is_empty());
        // What comes from a repository decides alone.
        let mut pulled = with_layers(Way::Pull, &['1']);
        pulled.origins.insert("evil/tool".parse().unwrap());
        ledger.learn(&digest('e'), pulled).unwrap();
        let base = ledger.base(&digest('f'), &layers).unwrap();
        assert_eq!(base.images, [digest('e')].into());
    }

    #[test]
    fn a_damaged_ledger_is_put_aside_and_nothing_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.redb");
        let ledger = open(&path);
        for digit in '0'..='9' {
            ledger
                .learn(&digest(digit), with_layers(Way::Pull, &[digit]))
                .unwrap();
        }
        drop(ledger);
        let sound = std::fs::read(&path).unwrap();
        let zeroed = vec![0; sound.len()];
        let mut scribbled = sound.clone();
        scribbled.iter_mut().skip(64).for_each(|byte| *byte ^= 0x5a);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(Ledger::open(&path).is_err() && path.is_dir(), "no damage");
        std::fs::remove_dir(&path).unwrap();
        for damage in [&b"not a ledger"[..], &zeroed, &scribbled, &sound[..4096]] {
            std::fs::write(&path, damage).unwrap();
            let opened = Ledger::open(&path).unwrap();
            assert!(opened.damaged.is_some_and(|aside| aside.exists()));
            assert!(opened.ledger.records().is_empty());
        }
    }
}
