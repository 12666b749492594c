//! The catalogue: decides with what is known, and asks for the rest.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use moka::sync::Cache;
use ramgate_policy::{
    Categories, Category, Decision, Doubt, NothingKnown, OFFICIAL_NAMESPACE, Policy, Request,
    Standing, check_path,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use crate::bundle::{Bundle, BundleError};
use crate::clock;
use crate::config::Config;
use crate::entry::{Age, Entry, Source};
use crate::hub::{Answer, Hub, HubError};
use crate::known::Known;
use crate::metrics::Metrics;
use crate::shelf::Shelf;

/// What is known of Docker Hub's namespaces, and how to know more. Cloning it is cheap and gives the same catalogue.
#[derive(Clone, Debug)]
pub struct Catalog {
    inner: Option<Arc<Inner>>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    hub: Option<Hub>,
    shelf: Shelf,
    /// What was wanted lately.
    memory: Cache<String, Entry>,
    /// What could not be had a moment ago, so that not everybody waits for it anew.
    failures: Cache<String, Doubt>,
    flights: Mutex<HashMap<String, Flight>>,
    /// Until when Docker Hub wants to be left alone.
    paused: Mutex<Option<Instant>>,
    /// Until when nobody waits long any more, since somebody waited in vain.
    sluggish: Mutex<Option<Instant>>,
    lanes: Semaphore,
    metrics: Metrics,
}

/// A request on its way; all who want the namespace wait for it.
type Flight = watch::Receiver<Option<Result<Entry, Doubt>>>;

/// What is known of a namespace, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shown {
    /// The namespace.
    pub namespace: String,
    /// The category that counts.
    pub category: Category,
    /// What is known; `None`: nothing, and why stands in `doubt`.
    pub entry: Option<Entry>,
    /// Why nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// What became of a refresh or an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Entries that are new or were renewed.
    pub taken: u64,
    /// Entries that were left as they are: newer ones are known, or Docker Hub did not say.
    pub left: u64,
}

/// Why a catalogue cannot be opened, read or written.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// Another process has it.
    #[error("the catalogue is in use by another process")]
    InUse,
    /// Its directory cannot be made, or a damaged one cannot be put aside.
    #[error("the catalogue {}: {}", .0.display(), .1)]
    Directory(PathBuf, std::io::Error),
    /// It cannot be read or written.
    #[error("the catalogue cannot be read or written: {0}")]
    Store(Box<redb::Error>),
    /// The client cannot be made, as with a CA file that is none.
    #[error("the client for Docker Hub cannot be made")]
    Client(#[source] reqwest::Error),
    /// A bundle is not taken.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

// === impl Catalog ===

impl Catalog {
    /// No catalogue: nothing is known.
    #[must_use]
    pub const fn none() -> Self {
        Self { inner: None }
    }

    /// Opens the catalogue. Nobody is asked yet.
    ///
    /// # Errors
    /// [`CatalogError`] when the file cannot be opened or a CA file is none.
    pub fn open(config: Config) -> Result<Self, CatalogError> {
        let hub = match &config.url {
            Some(url) => {
                let hub = Hub::new(url.clone(), config.ca_pem.as_deref());
                Some(hub.map_err(CatalogError::Client)?)
            }
            None => None,
        };
        let shelf = Shelf::open(config.path.as_deref())?;
        let metrics = Metrics::default();
        metrics.holds(shelf.len()?);
        Ok(Self {
            inner: Some(Arc::new(Inner {
                config,
                hub,
                shelf,
                memory: Cache::new(MEMORY_MAX),
                failures: Cache::builder()
                    .max_capacity(MEMORY_MAX)
                    .time_to_live(FAILURE_REMEMBERED)
                    .build(),
                flights: Mutex::default(),
                paused: Mutex::default(),
                sluggish: Mutex::default(),
                lanes: Semaphore::new(LANES),
                metrics,
            })),
        })
    }

    /// What it counts; `None` where there is no catalogue.
    #[must_use]
    pub fn metrics(&self) -> Option<&Metrics> {
        self.inner.as_deref().map(|inner| &inner.metrics)
    }

    /// Evaluates the policy by what is known, asking Docker Hub where the decision turns on it.
    pub async fn evaluate(&self, policy: &Policy, request: &Request<'_>) -> Decision {
        self.settle(|categories| policy.evaluate_knowing(request, categories))
            .await
    }

    /// Decides by what is known. If `decide` asks for namespaces that nobody looked up, that is done, all at once, and it
    /// decides again.
    pub async fn settle<T>(&self, decide: impl Fn(&dyn Categories) -> T) -> T {
        let Some(inner) = &self.inner else {
            return decide(&NothingKnown);
        };
        let deadline = Instant::now() + inner.config.patience;
        let mut looked_up = BTreeMap::new();
        loop {
            let known = Known::new(self, &looked_up);
            let decision = decide(&known);
            let wanted = known.into_wanted();
            // Each round looks up what it wanted, so there is an end: it can want no more than there are names.
            if wanted.is_empty() {
                return decision;
            }
            let standings = wanted
                .iter()
                .map(|namespace| inner.look_up(namespace, deadline));
            let standings = join_all(standings).await;
            looked_up.extend(wanted.into_iter().zip(standings));
        }
    }

    /// What is known of `namespace`, asking Docker Hub if it is nothing.
    ///
    /// # Errors
    /// [`CatalogError`] when the file cannot be read.
    pub async fn show(&self, namespace: &str) -> Result<Shown, CatalogError> {
        let shown = |category, entry, doubt: Option<String>| Shown {
            namespace: namespace.to_owned(),
            category,
            entry,
            doubt,
        };
        if namespace == OFFICIAL_NAMESPACE {
            return Ok(shown(Category::Official, None, None));
        }
        let Some(inner) = &self.inner else {
            let doubt = Doubt::NotAsked.to_string();
            return Ok(shown(Category::Community, None, Some(doubt)));
        };
        let standing = inner
            .look_up(namespace, Instant::now() + SHOW_PATIENCE)
            .await;
        let doubt = standing.doubt().map(|doubt| doubt.to_string());
        Ok(shown(
            standing.category(),
            inner.shelf.get(namespace)?,
            doubt,
        ))
    }

    /// Asks Docker Hub again for all that it said, or for `namespaces`.
    ///
    /// # Errors
    /// [`CatalogError`] when the file cannot be read.
    pub async fn refresh(&self, namespaces: &[String]) -> Result<Summary, CatalogError> {
        let mut summary = Summary::default();
        let Some(inner) = &self.inner else {
            return Ok(summary);
        };
        let mut all = namespaces.to_vec();
        if all.is_empty() {
            let entries = inner.shelf.all()?;
            all.extend(
                entries
                    .into_iter()
                    .filter(|(_, entry)| entry.source == Source::DockerHub)
                    .map(|(namespace, _)| namespace),
            );
        }
        for namespace in all {
            if is_namespace(&namespace) && inner.ask(&namespace).await.is_ok() {
                summary.taken += 1;
            } else {
                summary.left += 1;
            }
        }
        Ok(summary)
    }

    /// All that is known and not expired, to be carried elsewhere.
    ///
    /// # Errors
    /// [`CatalogError`] when the file cannot be read.
    pub fn export(&self, valid: Duration) -> Result<Bundle, CatalogError> {
        let now = clock::now();
        let mut bundle = Bundle::new(now, now.saturating_add(valid.as_secs()));
        if let Some(inner) = &self.inner {
            let entries = inner.shelf.all()?;
            let live = entries
                .into_iter()
                .filter(|(_, entry)| entry.age(now, inner.stale()) != Age::Expired);
            bundle.add(live);
        }
        Ok(bundle)
    }

    /// Takes in a bundle that was verified.
    ///
    /// # Errors
    /// [`CatalogError`] when the bundle has expired or the file cannot be written.
    pub fn import(&self, bundle: &Bundle) -> Result<Summary, CatalogError> {
        let Some(inner) = &self.inner else {
            return Ok(Summary::default());
        };
        bundle.is_valid_at(clock::now())?;
        let taken = inner.shelf.put(bundle.entries())?;
        inner.memory.invalidate_all();
        inner.failures.invalidate_all();
        inner.metrics.holds(inner.shelf.len()?);
        let all = u64::try_from(bundle.len()).unwrap_or(u64::MAX);
        Ok(Summary {
            taken,
            left: all.saturating_sub(taken),
        })
    }

    /// What is fresh in memory: the hot path.
    pub(crate) fn remembered(&self, namespace: &str) -> Option<Category> {
        let inner = self.inner.as_ref()?;
        let entry = inner.memory.get(namespace)?;
        let fresh = entry.age(clock::now(), 0) == Age::Fresh;
        fresh.then(|| {
            inner.metrics.looked_up("memory");
            entry.category
        })
    }
}

// === impl Inner ===

impl Inner {
    /// What is known of `namespace`; what is not is asked for, until `deadline`.
    async fn look_up(self: &Arc<Self>, namespace: &str, deadline: Instant) -> Standing {
        if !is_namespace(namespace) {
            return Standing::Is(Category::Community);
        }
        let kept = self
            .memory
            .get(namespace)
            .or_else(|| self.on_disk(namespace));
        if let Some(entry) = kept {
            match entry.age(clock::now(), self.stale()) {
                Age::Fresh => {
                    self.metrics.looked_up("disk");
                    return Standing::Is(entry.category);
                }
                Age::Stale => {
                    self.metrics.looked_up("stale");
                    // Behind the decision. Where it just failed, it is left for a while.
                    if self.may_ask(namespace).is_ok() {
                        drop(self.board(namespace));
                    }
                    return Standing::Is(entry.category);
                }
                Age::Expired => {}
            }
        }
        let answer = match self.may_ask(namespace) {
            Ok(()) => self.wait(namespace, deadline).await,
            Err(doubt) => Err(doubt),
        };
        match answer {
            Ok(entry) => {
                self.metrics.looked_up("asked");
                Standing::Is(entry.category)
            }
            Err(doubt) => {
                self.metrics.looked_up("unknown");
                Standing::Unknown(doubt)
            }
        }
    }

    async fn wait(self: &Arc<Self>, namespace: &str, deadline: Instant) -> Result<Entry, Doubt> {
        let mut flight = self.board(namespace);
        let now = Instant::now();
        let sluggish = lock(&self.sluggish).is_some_and(|until| until > now);
        let deadline = if sluggish {
            deadline.min(now + PATIENCE_WHEN_SLUGGISH)
        } else {
            deadline
        };
        let arrived = flight.wait_for(Option::is_some);
        match tokio::time::timeout_at(deadline.into(), arrived).await {
            Ok(Ok(answer)) => answer.unwrap_or(Err(Doubt::Unreachable)),
            Ok(Err(_)) => Err(Doubt::Unreachable),
            Err(_) => {
                // A container can have many images, and all of them must be judged in the time that a request has.
                *lock(&self.sluggish) = Some(Instant::now() + FAILURE_REMEMBERED);
                Err(Doubt::Slow)
            }
        }
    }

    /// Joins the request that is on its way, or sends one. It goes on when nobody waits any more: the next one will want it.
    fn board(self: &Arc<Self>, namespace: &str) -> Flight {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(namespace) {
            return flight.clone();
        }
        let (arrive, flight) = watch::channel(None);
        flights.insert(namespace.to_owned(), flight.clone());
        let (inner, namespace) = (Arc::clone(self), namespace.to_owned());
        tokio::spawn(async move {
            let answer = inner.ask(&namespace).await;
            lock(&inner.flights).remove(&namespace);
            // Nobody may be waiting.
            let _ = arrive.send(Some(answer));
        });
        flight
    }

    /// Asks Docker Hub and keeps what it says.
    async fn ask(&self, namespace: &str) -> Result<Entry, Doubt> {
        let hub = self.hub.as_ref().ok_or(Doubt::NotAsked)?;
        let _lane = self.lanes.acquire().await.map_err(|_| Doubt::Unreachable)?;
        // It may have been limited while others went before.
        self.not_paused()?;
        let started = Instant::now();
        let now = clock::now();
        let answer = hub.ask(namespace, now).await;
        let outcome = outcome(&answer);
        self.metrics
            .requested(outcome, started.elapsed().as_secs_f64());
        match answer {
            Ok(answer) => {
                if let Some(pause) = answer.pause {
                    self.pause(pause);
                }
                tracing::debug!(namespace, outcome, "Docker Hub said what a namespace is");
                *lock(&self.sluggish) = None;
                let entry = self.entry(answer, now);
                self.keep(namespace, entry);
                Ok(entry)
            }
            Err(error) => {
                if let HubError::Limited(pause) = &error {
                    self.pause(*pause);
                }
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(namespace, %error, cause, "the category of a namespace is not known");
                self.failures.insert(namespace.to_owned(), error.doubt());
                Err(error.doubt())
            }
        }
    }

    fn entry(&self, answer: Answer, now: u64) -> Entry {
        let category = answer.category.unwrap_or(Category::Community);
        let life = match category {
            Category::Community => self.config.negative_ttl,
            Category::Official | Category::VerifiedPublisher | Category::SponsoredOpenSource => {
                self.config.ttl
            }
        };
        Entry {
            category,
            checked: now,
            expires: now.saturating_add(life.as_secs()),
            source: Source::DockerHub,
        }
    }

    fn keep(&self, namespace: &str, entry: Entry) {
        self.failures.invalidate(namespace);
        self.memory.insert(namespace.to_owned(), entry);
        let kept = self
            .shelf
            .put([(namespace, entry)])
            .and_then(|_| self.shelf.len());
        match kept {
            Ok(entries) => self.metrics.holds(entries),
            // It is known all the same, until the process ends.
            Err(error) => tracing::error!(%error, namespace, "a category could not be kept"),
        }
    }

    fn on_disk(&self, namespace: &str) -> Option<Entry> {
        match self.shelf.get(namespace) {
            Ok(Some(entry)) => {
                self.memory.insert(namespace.to_owned(), entry);
                Some(entry)
            }
            Ok(None) => None,
            Err(error) => {
                tracing::error!(%error, namespace, "what is known of a namespace cannot be read");
                None
            }
        }
    }

    fn may_ask(&self, namespace: &str) -> Result<(), Doubt> {
        if self.hub.is_none() {
            return Err(Doubt::NotAsked);
        }
        match self.failures.get(namespace) {
            Some(doubt) => Err(doubt),
            None => self.not_paused(),
        }
    }

    fn not_paused(&self) -> Result<(), Doubt> {
        let paused = *lock(&self.paused);
        match paused {
            Some(until) if until > Instant::now() => Err(Doubt::Limited),
            Some(_) | None => Ok(()),
        }
    }

    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut paused = lock(&self.paused);
        if paused.is_none_or(|before| before < until) {
            *paused = Some(until);
        }
    }

    const fn stale(&self) -> u64 {
        self.config.stale.as_secs()
    }
}

/// A namespace of Docker Hub, and nothing that would lead elsewhere in a URL.
fn is_namespace(text: &str) -> bool {
    !text.contains('/') && text.len() <= NAMESPACE_LENGTH_MAX && check_path(text).is_ok()
}

const fn outcome(answer: &Result<Answer, HubError>) -> &'static str {
    match answer {
        Ok(answer) => match answer.category {
            None => "none",
            Some(Category::Official) => "official",
            Some(Category::VerifiedPublisher) => "verified-publisher",
            Some(Category::SponsoredOpenSource) => "sponsored-open-source",
            Some(Category::Community) => "community",
        },
        Err(error) => error.doubt().code(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A hundred bytes each, and far more namespaces than one host uses.
const MEMORY_MAX: u64 = 100_000;
/// As long as a person waits before trying again.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(15);
/// Enough for an answer that is on its way.
const PATIENCE_WHEN_SLUGGISH: Duration = Duration::from_millis(50);
/// Requests to Docker Hub at once.
const LANES: usize = 4;
/// A person who asks is willing to wait.
const SHOW_PATIENCE: Duration = Duration::from_secs(10);
/// Docker Hub's own limit is 255.
const NAMESPACE_LENGTH_MAX: usize = 255;
