//! Watches the engine: keeps the ledger up to date, and finds what runs and must not.
//!
//! No request shows the tasks of a swarm, containers that the engine restarts by itself, what BuildKit's gRPC brings in, or what
//! is started while ramgate is down. The engine's events show all that happens while they are followed, after the deed. What
//! happened before, they show only as far as the engine remembers: so all that runs is looked at as well.

mod sweep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use moka::sync::Cache;
use ramgate_policy::Policy;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::engine::{Event, Events, Happening};
use crate::identity::{Identity, JudgedContainer};
use crate::registrar::{Registrar, RegistrarError};
use sweep::Sweep;

/// Watches one engine.
#[derive(Clone, Debug)]
pub struct Watch {
    registrar: Registrar,
    identity: Identity,
    policy: Arc<ArcSwap<Policy>>,
    /// Containers that were found, and when they had been started: each start is reported once, though events and looks at all
    /// that runs may both find it.
    found: Cache<(String, Option<u64>), ()>,
    /// Up to when all starts were judged, as it stands in the ledger.
    written_until: Arc<AtomicU64>,
}

// === impl Watch ===

impl Watch {
    /// Watches the engine of `identity` by `policy`, which is read anew for each container.
    #[must_use]
    pub fn new(registrar: Registrar, identity: Identity, policy: Arc<ArcSwap<Policy>>) -> Self {
        Self {
            registrar,
            identity,
            policy,
            found: Cache::new(FOUND_MAX),
            written_until: Arc::default(),
        }
    }

    /// Watches until `shutdown`. An engine that is not there, or goes away, is waited for.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut silent = false;
        loop {
            let ended = tokio::select! {
                () = shutdown.cancelled() => return,
                ended = self.follow() => ended,
            };
            self.registrar.metrics().connected(false);
            self.registrar.note_gap();
            self.identity.forget_names();
            if let Err(error) = ended {
                // Once, and not every second until the engine is there.
                if !silent {
                    tracing::warn!(%error, "the engine is not watched; waiting for it");
                }
                silent = true;
            } else {
                silent = false;
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Follows the events of one run of the engine.
    async fn follow(&self) -> Result<(), RegistrarError> {
        // From before the look at all images, so that nothing falls between the two; and from where the last run ended, since an
        // engine starts containers before it can be asked.
        let judged_until = self.registrar.ledger().judged_until()?;
        let seen_until = self.registrar.seen_until();
        let since = judged_until.into_iter().chain(seen_until).min();
        let mut events = self.registrar.engine().events(since, None).await?;
        self.registrar.catch_up().await?;
        self.registrar.metrics().connected(true);
        tracing::info!("watching the engine");
        let sweep = judged_until.map_or(Sweep::First, Sweep::StartedAfter);
        // Events are taken in meanwhile: the engine drops those that nobody reads for long.
        let swept = async {
            self.sweep(sweep).await?;
            self.follow_policy().await
        };
        tokio::select! {
            ended = self.take_in_all(&mut events) => ended,
            Err(error) = swept => Err(error),
        }
    }

    async fn take_in_all(&self, events: &mut Events) -> Result<(), RegistrarError> {
        while let Some(event) = events.next().await? {
            let taken = self.take_in(&event).await;
            if let Err(error) = taken {
                tracing::error!(%error, "an event of the engine could not be taken in");
                return Err(error);
            }
        }
        Ok(())
    }

    /// Judges again what the engine starts by itself, whenever the policy changes. Never ends well.
    async fn follow_policy(&self) -> Result<(), RegistrarError> {
        let mut before = self.policy.load_full();
        loop {
            tokio::time::sleep(POLICY_LOOKED_AT).await;
            let now = self.policy.load_full();
            if !Arc::ptr_eq(&before, &now) {
                self.sweep(Sweep::Tasks).await?;
                before = now;
            }
        }
    }

    async fn take_in(&self, event: &Event) -> Result<(), RegistrarError> {
        match event.happening() {
            Happening::Start(container) => {
                // One that cannot be judged must not hide the next.
                if let Err(error) = self.started(container).await {
                    tracing::error!(container, %error, "a container that was started could not be judged");
                }
            }
            Happening::Destroy(_) | Happening::Other => {}
            Happening::Appear(_)
            | Happening::Commit(_)
            | Happening::Delete(_)
            | Happening::Import(_)
            | Happening::Load(_)
            | Happening::Pull(_)
            | Happening::Untag => self.identity.forget_names(),
        }
        self.registrar.take_in(event).await?;
        self.note_judged(event)
    }

    /// Remembers that all starts up to this event were judged; on disk for each start, and else now and then.
    fn note_judged(&self, event: &Event) -> Result<(), RegistrarError> {
        let written = self.written_until.load(Ordering::Acquire);
        let started = matches!(event.happening(), Happening::Start(_));
        if event.time > written && (started || event.time - written > WRITTEN_EVERY) {
            self.written_until.store(event.time, Ordering::Release);
            self.registrar.ledger().set_judged_until(event.time)?;
        }
        Ok(())
    }

    /// A container runs, whoever started it. What a request was allowed, is allowed here.
    async fn started(&self, container: &str) -> Result<(), RegistrarError> {
        let began = Instant::now();
        let policy = self.policy.load_full();
        let subject = self.identity.starter(container);
        let judging = self.identity.judge_container(container, &policy, &subject);
        if let Some(judged) = judging.await? {
            self.react(&judged, policy.stops_denied(), began);
        }
        Ok(())
    }

    /// Reports a container that runs and must not, and stops it if that is wanted.
    fn react(&self, judged: &JudgedContainer, stops: bool, began: Instant) {
        let Some(first) = judged.denials().next() else {
            return;
        };
        let start = (judged.id.clone(), judged.started);
        if !self.found.entry(start).or_insert(()).is_fresh() {
            return;
        }
        audit::found(judged, first, stops, began);
        self.registrar.metrics().found(stops);
        if stops {
            let (engine, container) = (self.registrar.engine().clone(), judged.id.clone());
            // By the side: a container that is slow to end must not keep us from what happens meanwhile.
            tokio::spawn(async move {
                match engine.stop(&container).await {
                    Ok(()) => tracing::info!(container, "container stopped"),
                    Err(error) => {
                        tracing::error!(container, %error, "container could not be stopped")
                    }
                }
            });
        }
    }
}

/// Between two attempts to reach the engine.
const PAUSE: Duration = Duration::from_millis(500);
/// How soon a change of the policy reaches what runs.
const POLICY_LOOKED_AT: Duration = Duration::from_secs(1);
/// More starts than are found denied at a time.
const FOUND_MAX: u64 = 10_000;
/// Events of health checks come many a second, and each write is a disk's.
const WRITTEN_EVERY: u64 = 1_000_000_000;
