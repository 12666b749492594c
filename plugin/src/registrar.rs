//! Keeps the ledger: takes in what the engine says of how its images came, and draws the one conclusion that nothing says.
//!
//! Pulls, loads, imports and commits are events of the engine. A build is not, on every engine: an image that came in no other
//! way, while nothing that happened was missed, was built.
//!
//! INVARIANT(no-gap): the conclusion is drawn only from an unbroken view. At a gap, everything that is there and not
//! explained is noted as unknown.

mod adoption;
mod evidence;
mod mounts;
mod open;
mod removal;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ramgate_policy::Digest;
use ramgate_provenance::{Base, Ledger, LedgerError, Record, Way};
use thiserror::Error;

use crate::engine::{Engine, EngineError, Event, Image};
use crate::gates::Gates;
use crate::metrics::Metrics;
pub(crate) use open::OpenRequests;

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
    metrics: Metrics,
    open: OpenRequests,
    /// When the last event was that was seen, in nanoseconds since 1970 by the engine's clock; 0 before the first.
    seen_until: AtomicU64,
    /// The same as it stands in the ledger.
    written_until: AtomicU64,
    /// Whether nothing was missed since the last look at all images.
    unbroken: Mutex<bool>,
    /// One look at the engine at a time.
    turn: tokio::sync::Mutex<()>,
    /// One event at a time, and none while records are dropped: what came after the look at what is there is learned after the drop.
    event_turn: tokio::sync::Mutex<()>,
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
    /// More happened in the engine than has been followed, and it no longer remembers all of it.
    #[error("more is going on in the engine than has been taken in")]
    Behind,
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
                metrics: Metrics::default(),
                open: OpenRequests::default(),
                event_turn: tokio::sync::Mutex::new(()),
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

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The requests that images may be due to.
    pub(crate) fn open_requests(&self) -> &OpenRequests {
        &self.inner.open
    }

    /// Whether the other gates are in force.
    #[must_use]
    pub fn gates(&self) -> &Gates {
        &self.inner.gates
    }

    /// What is known of an image that the engine has, learning it first if nothing is.
    pub(crate) async fn record_of(&self, image: &Image) -> Result<Arc<Record>, RegistrarError> {
        if let Some(record) = self.known(&image.id)? {
            return Ok(record);
        }
        self.catch_up().await?;
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

    /// Takes in what has happened up to now.
    pub(crate) async fn catch_up(&self) -> Result<(), RegistrarError> {
        let _turn = self.inner.turn.lock().await;
        if !*lock(&self.inner.unbroken) {
            return self.reconcile().await;
        }
        let watched = self.seen_until().is_some();
        let (events, complete) = self.past().await?;
        self.take_in_all(&events).await?;
        // The watch will get there, or finds that the engine went away. Until then, nothing is concluded.
        if watched && !complete {
            return Err(RegistrarError::Behind);
        }
        Ok(())
    }

    /// As [`Self::catch_up`], and looks at all images that are there: something was built.
    pub(crate) async fn catch_up_with_builds(&self) -> Result<(), RegistrarError> {
        self.catch_up().await?;
        let _turn = self.inner.turn.lock().await;
        self.conclude_all().await
    }

    /// Notes that events may have been missed.
    pub(crate) fn note_gap(&self) {
        self.engine().forget();
        *lock(&self.inner.unbroken) = false;
    }

    /// When the last event was that was taken in, in nanoseconds since 1970.
    pub(crate) fn seen_until(&self) -> Option<u64> {
        Some(self.inner.seen_until.load(Ordering::Acquire)).filter(|time| *time > 0)
    }

    /// What happened since the last event that was seen, and whether it is certain that this is all: the engine still remembers
    /// that one, and so everything after it.
    async fn past(&self) -> Result<(Vec<Event>, bool), RegistrarError> {
        let Some(since) = self.seen_until() else {
            return Ok((Vec::new(), false));
        };
        let events = self
            .engine()
            .events(Some(since), Some(wall_clock()))
            .await?;
        let mut events = events.collect().await?;
        let remembered = events.iter().any(|event| event.time == since);
        events.retain(|event| event.time > since);
        Ok((events, remembered))
    }

    async fn take_in_all(&self, events: &[Event]) -> Result<(), RegistrarError> {
        for event in events {
            self.take_in(event).await?;
        }
        Ok(())
    }

    /// Looks at everything: what happened since the last time, as far as the engine remembers, and then at all images.
    async fn reconcile(&self) -> Result<(), RegistrarError> {
        let (events, complete) = self.past().await?;
        // Before they are taken in: what a build brought is among them, and would be noted as unknown.
        *lock(&self.inner.unbroken) = complete;
        let taken = async {
            self.take_in_all(&events).await?;
            self.conclude_all().await?;
            self.drop_removed().await
        };
        if let Err(error) = taken.await {
            self.note_gap();
            return Err(error);
        }
        *lock(&self.inner.unbroken) = true;
        self.metrics().reconciled();
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
            record.by = self.inner.open.builder();
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
pub(crate) fn wall_clock() -> u64 {
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

#[cfg(test)]
mod tests;
