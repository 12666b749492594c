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
        if !*lock(&self.inner.unbroken) {
            return self.reconcile().await;
        }
        let watched = self.seen_until().is_some();
        let (events, complete) = self.past().await?;
        self.take_in_all(&events, by).await?;
        // The watch will get there, or finds that the engine went away. Until then, nothing is concluded.
        if watched && !complete {
            return Err(RegistrarError::Behind);
        }
        Ok(())
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

    /// When the last event was that was taken in, in nanoseconds since 1970.
    pub(crate) fn seen_until(&self) -> Option<u64> {
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
        if way == Way::Commit
            && !image
                .as_ref()
                .is_some_and(|image| self.is_new(image, event.time))
        {
            return self.advance(event.time);
        }
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

    /// Whether an image can have been made at `time`: it is there, and nothing older is known of it than that it appeared.
    ///
    /// The ID in the event of a commit is no proof: a label of the container by the same name takes its place (moby
    /// `daemon/events.go`, `copyAttributes`).
    fn is_new(&self, image: &Image, time: u64) -> bool {
        self.ledger().record(&image.id).is_none_or(|record| {
            record.way == Way::Build && record.since + COMMIT_TAKES >= seconds(time)
        })
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
        if !self.is_from(&image, &repository, event.time).await? {
            return Ok(());
        }
        let mut record = Record::new(Way::Pull, seconds(event.time));
        record.by = by.map(ToOwned::to_owned);
        record.name = Some(reference.to_owned());
        record.origins.insert(repository);
        record.layers = image.layers().to_vec();
        self.ledger().learn(&image.id, record)?;
        Ok(())
    }

    /// Whether an image is what was pulled from the repository at `time`, and not another that has taken over its name: the event
    /// says no ID.
    async fn is_from(
        &self,
        image: &Image,
        repository: &Repository,
        time: u64,
    ) -> Result<bool, RegistrarError> {
        if self.ledger().repositories(&image.id)?.contains(repository) {
            return Ok(true);
        }
        if self.engine().info().await?.has_containerd_store() {
            return Ok(image.was_named_by(time));
        }
        Ok(image.repositories().any(|known| known == *repository))
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

    async fn take_in_all(&self, events: &[Event], by: Option<&str>) -> Result<(), RegistrarError> {
        for event in events {
            self.take_in(event, by).await?;
        }
        Ok(())
    }

    /// Looks at everything: what happened since the last time, as far as the engine remembers, and then at all images.
    async fn reconcile(&self) -> Result<(), RegistrarError> {
        let (events, complete) = self.past().await?;
        // Before they are taken in: what a build brought is among them, and would be noted as unknown.
        *lock(&self.inner.unbroken) = complete;
        let taken = async {
            self.take_in_all(&events, None).await?;
            self.conclude_all().await
        };
        if let Err(error) = taken.await {
            self.note_gap();
            return Err(error);
        }
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

/// Between an image's appearance and the event of the commit that made it, in seconds: in fact some milliseconds.
const COMMIT_TAKES: u64 = 5;
/// Far less than 256 events of health checks take, which is what dockerd remembers (moby `daemon/events/events.go`).
const WRITTEN_EVERY: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use axum::Router;
    use axum::http::{StatusCode, Uri};
    use ramgate_provenance::Canaries;
    use tokio::net::UnixListener;

    use super::*;

    const CONTAINERD: &str = r#"{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#;
    const SECOND: u64 = 1_000_000_000;

    fn id(digit: char) -> Digest {
        format!("sha256:{}", digit.to_string().repeat(64))
            .parse()
            .unwrap()
    }

    /// A registrar for an engine that says this of itself, and this of every image but `sha256:9…`.
    fn registrar(directory: &Path, info: &'static str, image: String) -> Registrar {
        let socket = directory.join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = move |uri: Uri| async move {
            match uri.path() {
                "/info" => (StatusCode::OK, info.to_owned()),
                path if path.contains(id('9').as_str()) => (StatusCode::NOT_FOUND, String::new()),
                path if path.starts_with("/images/") => (StatusCode::OK, image),
                // No event is remembered.
                _ => (StatusCode::OK, String::new()),
            }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        let engine = Engine::new(&socket);
        let canaries = Canaries::default();
        let gates = Gates::new(engine.clone(), None, None, PathBuf::new(), canaries);
        let ledger = Arc::new(Ledger::in_memory().unwrap());
        Registrar::new(engine, gates, ledger).unwrap()
    }

    /// Of an image that goes by the name `alpine:3`, whatever it is.
    fn image(repo_digests: &str, tagged: &str) -> String {
        let id = id('a');
        format!(
            r#"{{"Id":"{id}","RepoTags":["alpine:3"],"RepoDigests":[{repo_digests}],"Metadata":{{"LastTagTime":"{tagged}"}}}}"#
        )
    }

    fn commit_of(image: &Digest) -> Event {
        serde_json::from_str(&format!(
            r#"{{"Type":"container","Action":"commit","Actor":{{"ID":"c","Attributes":{{"imageID":"{image}"}}}},"timeNano":{}}}"#,
            100 * SECOND
        ))
        .unwrap()
    }

    async fn check_pull(info: &'static str, image: String, expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        let registrar = registrar(directory.path(), info, image.clone());
        let event =
            r#"{"Type":"image","Action":"pull","Actor":{"ID":"alpine:3"},"timeNano":5000000000}"#;
        let event = serde_json::from_str(event).unwrap();
        registrar.take_in(&event, None).await.unwrap();
        let record = registrar.ledger().record(&id('a'));
        let origins = record.map(|record| record.origins.clone());
        let origins = origins.iter().flatten().map(ToString::to_string);
        assert_eq!(origins.collect::<Vec<_>>(), expected, "{image}");
    }

    #[tokio::test]
    async fn a_pull_says_where_an_image_is_from_only_if_it_is_the_one_that_was_pulled() {
        let alpine = ["docker.io/library/alpine"];
        let own = format!("\"alpine@{}\"", id('a'));
        // The name has moved to what was built, or to what was pulled as another.
        check_pull("{}", image("", ""), &[]).await;
        check_pull("{}", image(&own.replace("alpine", "evil/tool"), ""), &[]).await;
        check_pull("{}", image(&own, ""), &alpine).await;
        // Here every name has a digest; but none was given after the pull.
        check_pull(CONTAINERD, image(&own, "1970-01-01T00:00:05.1Z"), &[]).await;
        check_pull(CONTAINERD, image(&own, "1970-01-01T00:00:04.9Z"), &alpine).await;
    }

    #[tokio::test]
    async fn a_commit_says_nothing_of_an_image_that_was_there_before() {
        let directory = tempfile::tempdir().unwrap();
        let registrar = registrar(directory.path(), "{}", image("", ""));
        let ledger = registrar.ledger();
        let way = || ledger.record(&id('a')).map(|record| record.way);
        for (way_before, since) in [(Way::Unknown, 100), (Way::Load, 100), (Way::Build, 50)] {
            ledger
                .learn(&id('a'), Record::new(way_before, since))
                .unwrap();
            registrar.take_in(&commit_of(&id('a')), None).await.unwrap();
            assert_eq!(way(), Some(way_before));
            ledger.forget(&id('a')).unwrap();
        }
        // Nor of one that is not there yet.
        registrar.take_in(&commit_of(&id('9')), None).await.unwrap();
        assert!(ledger.record(&id('9')).is_none());
    }

    #[tokio::test]
    async fn a_commit_is_told_from_a_build_that_was_concluded_before_its_event() {
        let directory = tempfile::tempdir().unwrap();
        let registrar = registrar(directory.path(), "{}", image("", ""));
        let ledger = registrar.ledger();
        ledger.learn(&id('a'), Record::new(Way::Build, 99)).unwrap();
        registrar.take_in(&commit_of(&id('a')), None).await.unwrap();
        assert_eq!(ledger.record(&id('a')).unwrap().way, Way::Commit);
    }

    #[tokio::test]
    async fn nothing_is_concluded_from_events_that_the_engine_no_longer_remembers() {
        let directory = tempfile::tempdir().unwrap();
        let registrar = registrar(directory.path(), "{}", "[]".to_owned());
        registrar.catch_up(None).await.unwrap();
        // None was seen yet, so none can have been missed.
        registrar.catch_up(None).await.unwrap();
        registrar.advance(SECOND).unwrap();
        let behind = registrar.catch_up(None).await;
        assert!(matches!(behind, Err(RegistrarError::Behind)));
        registrar.note_gap();
        registrar.catch_up(None).await.unwrap();
    }
}
