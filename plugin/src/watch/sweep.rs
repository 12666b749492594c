//! A look at all that runs: for when events cannot tell, as after a time in which nobody watched.

use std::time::Instant;

use ramgate_policy::Policy;

use super::Watch;
use crate::engine::ListedContainer;
use crate::registrar::{RegistrarError, wall_clock};

/// Which of the containers that run are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweep {
    /// Those that were started after this moment, in nanoseconds since 1970: no request was allowed for them.
    StartedAfter(u64),
    /// All, and none is stopped: nothing was watched before, so nobody can have asked for them.
    First,
    /// Tasks of services, which the engine starts without asking: the policy has changed.
    Tasks,
}

// === impl Watch ===

impl Watch {
    /// Judges what runs.
    pub(super) async fn sweep(&self, sweep: Sweep) -> Result<(), RegistrarError> {
        let moment = wall_clock();
        let running = self.registrar.engine().running().await?;
        let policy = self.policy.load_full();
        let mut judged = 0_usize;
        for container in running.iter().filter(|container| sweep.wants(container)) {
            // One that cannot be judged must not hide the next.
            match self.sweep_one(sweep, &container.id, &policy).await {
                Ok(was_judged) => judged += usize::from(was_judged),
                Err(error) => {
                    let container = container.id.as_str();
                    tracing::error!(container, %error, "a container that runs could not be judged");
                }
            }
        }
        if sweep == Sweep::First {
            // From here on it can be told what is new.
            self.registrar.ledger().set_judged_until(moment)?;
        }
        tracing::info!(running = running.len(), judged, "looked at what runs");
        Ok(())
    }

    /// Whether it was one of those to judge.
    async fn sweep_one(
        &self,
        sweep: Sweep,
        container: &str,
        policy: &Policy,
    ) -> Result<bool, RegistrarError> {
        let began = Instant::now();
        let subject = self.identity.starter(container);
        let judging = self.identity.judge_container(container, policy, &subject);
        let Some(judged) = judging.await? else {
            return Ok(false);
        };
        if !sweep.covers(judged.started) {
            return Ok(false);
        }
        let stops = policy.stops_denied() && sweep != Sweep::First;
        self.react(&judged, stops, began);
        Ok(true)
    }
}

// === impl Sweep ===

impl Sweep {
    /// Whether to look at it, by what the list says.
    fn wants(self, container: &ListedContainer) -> bool {
        match self {
            Self::StartedAfter(_) | Self::First => true,
            Self::Tasks => container.is_task(),
        }
    }

    /// Whether to judge one that was `started` then; what does not say when is not passed over.
    fn covers(self, started: Option<u64>) -> bool {
        match self {
            Self::First | Self::Tasks => true,
            Self::StartedAfter(moment) => {
                // A start whose event came some milliseconds later, after that of another that was the last to be judged, is
                // not among these: the engine remembers its event.
                started.is_none_or(|started| started > moment)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn after_a_gap_what_was_started_in_it_is_judged() {
        let sweep = Sweep::StartedAfter(100 * SECOND);
        assert!(sweep.covers(Some(101 * SECOND)));
        assert!(!sweep.covers(Some(100 * SECOND - 1)));
        assert!(sweep.covers(None));
        assert!(Sweep::First.covers(Some(1)) && Sweep::Tasks.covers(Some(1)));
    }
}
