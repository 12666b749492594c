//! Keeps the ledger: takes in what the engine says of how its images came, and draws the one conclusion that nothing says.
//!
//! Pulls, loads, imports and commits are events of the engine. A build is not, on every engine: an image that came in no other
//! way, while nothing that happened was missed, was built.
//!
//! INVARIANT(no-gap): the conclusion is drawn only from an unbroken view. At a gap, everything that is there and not
//! explained is noted as unknown.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ramgate_policy::{Digest, Repository};
use ramgate_provenance::{Base, Ledger, LedgerError, Record, Way};
use thiserror::Error;

use crate::engine::{Engine, EngineError, Event, Happening, Image};
use crate::gates::Gates;

/// Keeps the ledger of one engine. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Registrar {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    gates: Gates,
    ledger: Arc<Ledger>,
    /// When the last event was that was seen, in nanoseconds since 1970 by the engine's clock; 0 before the first.
    seen_until: AtomicU64,
    /// The same as it stands in the ledger.
    written_until: AtomicU64,
    /// Whether nothing was missed since the last look at all images.
    unbroken: Mutex<bool>,
    /// One look at the engine at a time.
    turn: tokio::sync::Mutex<()>,
}

/// Why what an image is cannot be told.
#[derive(Clone, Debug, Error)]
pub enum RegistrarError {
    /// The engine could not say.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The ledger could not be read or written.
    #[error("{0}")]
    Ledger(Arc<LedgerError>),
    /// There is no such image.
    #[error("the engine has no image `{0}`")]
    NoImage(String),
}

// === impl Registrar ===

impl Registrar {
    /// Keeps `ledger` for `engine`, whose builds `gates` tells of. Nothing is asked yet.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn new(engine: Engine, gates: Gates, ledger: Arc<Ledger>) -> Result<Self, RegistrarError> {
        let seen_until = ledger.watched_until()?.unwrap_or_default();
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                gates,
                ledger,
                seen_until: AtomicU64::new(seen_until),
                written_until: AtomicU64::new(seen_until),
                unbroken: Mutex::new(false),
                turn: tokio::sync::Mutex::new(()),
            }),
        })
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Whether the other gates are in force.
    pub(crate) fn gates(&self) -> &Gates {
        &self.inner.gates
    }

    /// What is known of an image that the engine has, learning it first if nothing is.
    pub(crate) async fn record_of(&self, image: &Image) -> Result<Arc<Record>, RegistrarError> {
        if let Some(record) = self.known(&image.id)? {
            return Ok(record);
        }
        self.catch_up(None).await?;
        if let Some(record) = self.known(&image.id)? {
            return Ok(record);
        }
        self.conclude(image).await
    }

    /// What is known of an image by its ID alone, as when the engine no longer has it.
    pub(crate) fn known(&self, image: &Digest) -> Result<Option<Arc<Record>>, RegistrarError> {
        let Some(record) = self.ledger().record(image) else {
            return Ok(None);
        };
        // The mirror may have seen meanwhile who else has it.
        let repositories = self.ledger().repositories(image)?;
        if repositories.is_subset(&record.origins) {
            return Ok(Some(record));
        }
        let mut seen = Record::new(Way::Unknown, record.since);
        seen.origins = repositories;
        Ok(Some(self.ledger().learn(image, seen)?))
    }

    /// Takes in what has happened up to now. `by` is who made it happen, where that is known.
    pub(crate) async fn catch_up(&self, by: Option<&str>) -> Result<(), RegistrarError> {
        let _turn = self.inner.turn.lock().await;
        if *lock(&self.inner.unbroken) {
            self.take_in_past(by).await?;
            Ok(())
        } else {
            self.reconcile().await
        }
    }

    /// As [`Self::catch_up`], and looks at all images that are there: something was built.
    pub(crate) async fn catch_up_with_builds(
        &self,
        by: Option<&str>,
    ) -> Result<(), RegistrarError> {
        self.catch_up(by).await?;
        let _turn = self.inner.turn.lock().await;
        self.conclude_all().await
    }

    /// Notes that events may have been missed.
    pub(crate) fn note_gap(&self) {
        *lock(&self.inner.unbroken) = false;
    }

    fn seen_until(&self) -> Option<u64> {
        Some(self.inner.seen_until.load(Ordering::Acquire)).filter(|time| *time > 0)
    }

    /// Takes in one event.
    pub(crate) async fn take_in(
        &self,
        event: &Event,
        by: Option<&str>,
    ) -> Result<(), RegistrarError> {
        let (way, id) = match event.happening() {
            Happening::Pull(reference) => {
                self.take_in_pull(reference, event, by).await?;
                return self.advance(event.time);
            }
            Happening::Load(id) => (Way::Load, id),
            Happening::Import(id) => (Way::Import, id),
            Happening::Commit(id) => (Way::Commit, id),
            Happening::Appear(id) => {
                self.take_in_appearance(id).await?;
                return self.advance(event.time);
            }
            Happening::Untag | Happening::Start(_) | Happening::Other => {
                return self.pass(event.time);
            }
        };
        let image = self.engine().image(id).await?;
        let id = image
            .as_ref()
            .map(|image| image.id.clone())
            .or_else(|| id.parse().ok());
        if let Some(id) = id {
            let mut record = Record::new(way, seconds(event.time));
            record.by = by.map(ToOwned::to_owned);
            self.describe(&mut record, &id, image.as_ref()).await?;
            self.ledger().learn(&id, record)?;
        }
        self.advance(event.time)
    }

    /// Vouches for an image, on an administrator's word: by the repositories of its names, or as this host's own.
    ///
    /// # Errors
    /// When there is no such image, or the engine or the ledger fails.
    pub async fn adopt(
        &self,
        name: &str,
        own: bool,
    ) -> Result<(Digest, Arc<Record>), RegistrarError> {
        let image = self.engine().image(name).await?;
        let image = image.ok_or_else(|| RegistrarError::NoImage(name.to_owned()))?;
        let mut record = Record::new(Way::Adopt, seconds(wall_clock()));
        record.name = image.tags().next().map(ToOwned::to_owned);
        record.layers = image.layers().to_vec();
        if !own {
            record.origins = self.named_origins(&image).await?;
        }
        let record = self.ledger().learn(&image.id, record)?;
        Ok((image.id, record))
    }

    /// The ID of the image that the engine takes `name` for; `None` if it has none.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn image_id(&self, name: &str) -> Result<Option<Digest>, RegistrarError> {
        Ok(self.engine().image(name).await?.map(|image| image.id))
    }

    /// Vouches for every image that the engine has and of which nothing is known. What was adopted.
    ///
    /// # Errors
    /// When the engine or the ledger fails.
    pub async fn adopt_all(&self) -> Result<Vec<(Digest, Arc<Record>)>, RegistrarError> {
        self.catch_up(None).await?;
        let mut adopted = Vec::new();
        for listed in self.engine().images().await? {
            let unknown = self
                .known(&listed.id)?
                .is_none_or(|record| record.way == Way::Unknown && record.origins.is_empty());
            if unknown {
                adopted.push(self.adopt(listed.id.as_str(), false).await?);
            }
        }
        Ok(adopted)
    }

    /// The repositories that its names speak of. In the containerd store every name has a digest, and in the other only those
    /// that were pulled or pushed.
    async fn named_origins(&self, image: &Image) -> Result<BTreeSet<Repository>, RegistrarError> {
        let mut origins: BTreeSet<Repository> = image.repositories().collect();
        origins.extend(self.ledger().repositories(&image.id)?);
        Ok(origins)
    }

    async fn take_in_pull(
        &self,
        reference: &str,
        event: &Event,
        by: Option<&str>,
    ) -> Result<(), RegistrarError> {
        let (Ok(repository), Some(image)) = (
            reference.parse::<Repository>(),
            self.engine().image(reference).await?,
        ) else {
            return Ok(());
        };
        let mut record = Record::new(Way::Pull, seconds(event.time));
        record.by = by.map(ToOwned::to_owned);
        record.name = Some(reference.to_owned());
        record.origins.insert(repository);
        record.layers = image.layers().to_vec();
        self.ledger().learn(&image.id, record)?;
        Ok(())
    }

    /// An image that is there now. If it came in another way than by a build, an event will say so, and count for more.
    async fn take_in_appearance(&self, id: &str) -> Result<(), RegistrarError> {
        let known = id.parse().ok().and_then(|id| self.ledger().record(&id));
        if known.is_none()
            && let Some(image) = self.engine().image(id).await?
        {
            self.conclude(&image).await?;
        }
        Ok(())
    }

    /// What happened since the last event that was seen. Whether it is certain that this is all: the engine still remembers
    /// that one, and so everything after it.
    async fn take_in_past(&self, by: Option<&str>) -> Result<bool, RegistrarError> {
        let Some(since) = self.seen_until() else {
            return Ok(false);
        };
        let events = self
            .engine()
            .events(Some(since), Some(wall_clock()))
            .await?;
        let events = events.collect().await?;
        let remembered = events.iter().any(|event| event.time == since);
        for event in events.iter().filter(|event| event.time > since) {
            self.take_in(event, by).await?;
        }
        Ok(remembered)
    }

    /// Looks at everything: what happened since the last time, as far as the engine remembers, and then at all images.
    async fn reconcile(&self) -> Result<(), RegistrarError> {
        let complete = self.take_in_past(None).await?;
        *lock(&self.inner.unbroken) = complete;
        self.conclude_all().await?;
        *lock(&self.inner.unbroken) = true;
        tracing::info!(
            images = self.ledger().records().len(),
            complete,
            "ledger reconciled with the engine"
        );
        Ok(())
    }

    /// Takes in every image that is there and of which no event told: older engines say nothing of a build without a name.
    async fn conclude_all(&self) -> Result<(), RegistrarError> {
        for listed in self.engine().images().await? {
            if self.ledger().record(&listed.id).is_none()
                && let Some(image) = self.engine().image(listed.id.as_str()).await?
            {
                self.conclude(&image).await?;
            }
        }
        Ok(())
    }

    /// What an image is of which no event told.
    async fn conclude(&self, image: &Image) -> Result<Arc<Record>, RegistrarError> {
        let mut record = Record::new(Way::Unknown, seconds(wall_clock()));
        record.origins = self.ledger().repositories(&image.id)?;
        if !self.engine().info().await?.has_containerd_store() {
            record.origins.extend(image.repositories());
        }
        record.name = image.tags().next().map(ToOwned::to_owned);
        if !record.origins.is_empty() {
            record.way = Way::Pull;
        } else if *lock(&self.inner.unbroken) {
            record.way = Way::Build;
        }
        self.describe(&mut record, &image.id, Some(image)).await?;
        Ok(self.ledger().learn(&image.id, record)?)
    }

    /// Adds layers, base and the state of the gates.
    async fn describe(
        &self,
        record: &mut Record,
        id: &Digest,
        image: Option<&Image>,
    ) -> Result<(), RegistrarError> {
        let Some(image) = image else { return Ok(()) };
        record.layers = image.layers().to_vec();
        if record.name.is_none() {
            record.name = image.tags().next().map(ToOwned::to_owned);
        }
        record.base = match record.way {
            Way::Build | Way::Commit | Way::Load | Way::Import => {
                self.ledger().base(id, image.layers())?
            }
            Way::Adopt | Way::Pull | Way::Unknown => Base::default(),
        };
        record.gated = record.way != Way::Build || self.gates().state().await?.is_in_force();
        Ok(())
    }

    /// Remembers an event that changed nothing; on disk only now and then, since there can be many.
    fn pass(&self, time: u64) -> Result<(), RegistrarError> {
        let before = self.inner.seen_until.fetch_max(time, Ordering::AcqRel);
        let written = self.inner.written_until.load(Ordering::Acquire);
        if time > before && time.saturating_sub(written) > WRITTEN_EVERY {
            self.inner.written_until.store(time, Ordering::Release);
            self.ledger().set_watched_until(time)?;
        }
        Ok(())
    }

    /// Remembers an event that was taken in.
    fn advance(&self, time: u64) -> Result<(), RegistrarError> {
        let before = self.inner.seen_until.fetch_max(time, Ordering::AcqRel);
        if time > before {
            self.inner.written_until.store(time, Ordering::Release);
            self.ledger().set_watched_until(time)?;
        }
        Ok(())
    }
}

// === impl RegistrarError ===

impl From<LedgerError> for RegistrarError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(Arc::new(error))
    }
}

/// The engine's events carry its wall clock, which on one host is ours.
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the ledger; records take their time as an argument"
)]
fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

const fn seconds(nanoseconds: u64) -> u64 {
    Duration::from_nanos(nanoseconds).as_secs()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Far less than 256 events of health checks take, which is what dockerd remembers (moby `daemon/events/events.go`).
const WRITTEN_EVERY: u64 = 1_000_000_000;
