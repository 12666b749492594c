//! Watches the engine: keeps the ledger up to date, and finds what runs and must not.
//!
//! No request shows the tasks of a swarm, containers that the engine restarts by itself, or what BuildKit's gRPC brings in. The
//! engine's events show them all, after the deed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ramgate_policy::Policy;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::engine::{Event, Happening};
use crate::identity::Identity;
use crate::registrar::{Registrar, RegistrarError};

/// Watches one engine.
#[derive(Clone, Debug)]
pub struct Watch {
    registrar: Registrar,
    identity: Identity,
    policy: Arc<ArcSwap<Policy>>,
}

// === impl Watch ===

impl Watch {
    /// Watches the engine of `identity` by `policy`, which is read anew for each container.
    #[must_use]
    pub const fn new(
        registrar: Registrar,
        identity: Identity,
        policy: Arc<ArcSwap<Policy>>,
    ) -> Self {
        Self {
            registrar,
            identity,
            policy,
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
        let since = self.registrar.seen_until();
        let mut events = self.registrar.engine().events(since, None).await?;
        self.registrar.catch_up(None).await?;
        self.registrar.metrics().connected(true);
        tracing::info!("watching the engine");
        while let Some(event) = events.next().await? {
            let taken = self.take_in(&event).await;
            if let Err(error) = taken {
                tracing::error!(%error, "an event of the engine could not be taken in");
                return Err(error);
            }
        }
        Ok(())
    }

    async fn take_in(&self, event: &Event) -> Result<(), RegistrarError> {
        match event.happening() {
            // One that cannot be judged must not hide the next.
            Happening::Start(container) => {
                if let Err(error) = self.started(container).await {
                    tracing::error!(container, %error, "a container that was started could not be judged");
                }
            }
            Happening::Other => {}
            Happening::Appear(_)
            | Happening::Commit(_)
            | Happening::Import(_)
            | Happening::Load(_)
            | Happening::Pull(_)
            | Happening::Untag => self.identity.forget_names(),
        }
        self.registrar.take_in(event, None).await
    }

    /// A container runs, whoever started it. What a request was allowed, is allowed here.
    async fn started(&self, container: &str) -> Result<(), RegistrarError> {
        let began = Instant::now();
        let policy = self.policy.load_full();
        let subject = self.identity.starter(container);
        let Some(judged) = self
            .identity
            .judge_container(container, &policy, &subject)
            .await?
        else {
            return Ok(());
        };
        let denials: Vec<_> = judged.denials().cloned().collect();
        let Some(first) = denials.first() else {
            return Ok(());
        };
        let stops = policy.stops_denied();
        audit::found(container, &judged, first, stops, began);
        self.registrar.metrics().found(stops);
        if stops {
            let (engine, container) = (self.registrar.engine().clone(), container.to_owned());
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
        Ok(())
    }
}

/// Between two attempts to reach the engine.
const PAUSE: Duration = Duration::from_millis(500);
