//! Two workers, each with one lab at a time, and trials that wait for what they find.
//!
//! Trials themselves could not share labs well: of two threads that each take the next trial, one would wait for the other's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use ramgate_lab::EngineKind;

use crate::attempt::Attempt;
use crate::stage::{Gates, Stage};

/// The work, and who does it.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    labs: Mutex<Vec<Work>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

/// What is to be done in one lab.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) kind: EngineKind,
    pub(crate) gates: Gates,
    pub(crate) attempts: Vec<(Attempt, Arc<Slot>)>,
}

/// Where the outcome of an attempt is put, and waited for.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    outcome: Mutex<Option<Result<(), String>>>,
    filled: Condvar,
}

// === impl Crew ===

impl Crew {
    pub(crate) fn new(mut labs: Vec<Work>) -> Self {
        // The longest is begun first: workers take from the end.
        labs.sort_by_key(|work| work.attempts.len());
        Self {
            labs: Mutex::new(labs),
            workers: Mutex::default(),
        }
    }

    /// Sets to work, if not at it. Only when the first trial runs: by then those that are not wanted are gone.
    pub(crate) fn begin(self: &Arc<Self>) {
        let mut workers = lock(&self.workers);
        if workers.is_empty() {
            for _ in 0..WORKERS {
                let crew = Arc::clone(self);
                workers.push(std::thread::spawn(move || crew.work()));
            }
        }
    }

    /// Waits until the last lab is gone.
    pub(crate) fn end(&self) {
        for worker in std::mem::take(&mut *lock(&self.workers)) {
            let _ = worker.join();
        }
    }

    fn work(&self) {
        loop {
            let next = lock(&self.labs).pop();
            match next {
                Some(work) => work.run(),
                None => return,
            }
        }
    }
}

// === impl Work ===

impl Work {
    fn run(self) {
        let mut stage = None;
        for (attempt, slot) in &self.attempts {
            // Its trial has been filtered out.
            if Arc::strong_count(slot) == 1 {
                continue;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.attempt(&mut stage, attempt)));
            let outcome = outcome.unwrap_or_else(|_panic| Err(anyhow::anyhow!("it panicked")));
            slot.fill(
                outcome
                    .with_context(|| attempt.what.clone())
                    .map_err(|error| format!("{error:#}")),
            );
        }
    }

    fn attempt(&self, stage: &mut Option<Stage>, attempt: &Attempt) -> Result<()> {
        let mut ready = match stage.take() {
            Some(ready) => ready,
            None => Stage::new(
                self.kind,
                self.gates,
                Path::new(env!("CARGO_BIN_EXE_ramgate")),
            )?,
        };
        // A stage on which something failed is not trusted with the next attempt: it is not put back.
        let outcome = ready.attempt(attempt)?;
        *stage = Some(ready);
        match self.gates {
            Gates::InForce => outcome.expect_only(attempt.gets_on(self.kind.name())),
            Gates::Open => outcome.expect_control(attempt),
        }
    }
}

// === impl Slot ===

impl Slot {
    /// Waits for the outcome.
    pub(crate) fn wait(&self) -> Result<(), String> {
        let mut outcome = lock(&self.outcome);
        loop {
            match outcome.take() {
                Some(outcome) => return outcome,
                None => {
                    outcome = self
                        .filled
                        .wait(outcome)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn fill(&self, outcome: Result<(), String>) {
        *lock(&self.outcome) = Some(outcome);
        self.filled.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A third lab would only slow the others on small machines.
const WORKERS: usize = 2;
