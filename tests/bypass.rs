//! The bypass corpus: attempts to get at what the policy denies, as data, each made raw on real engines behind ramgate.
//!
//! What is asserted is the state of the engine and of the world afterwards, never what ramgate answered. That an attempt is a
//! real one shows its control: the same on an engine without gates reaches its goal.
//!
//! `cargo test --features engines --test bypass -- 28.5::json` runs what one wants.

#[path = "bypass/attempt.rs"]
mod attempt;
#[path = "bypass/stage.rs"]
mod stage;
#[path = "bypass/vocabulary.rs"]
mod vocabulary;
#[path = "bypass/wire.rs"]
mod wire;
#[path = "bypass/world.rs"]
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use attempt::Attempt;
use libtest_mimic::{Arguments, Trial};
use ramgate_lab::EngineKind;
use stage::{Gates, Stage};

/// The lab that attempts of one kind share. The last of them to go takes it along.
type Shared = Arc<Mutex<Option<Stage>>>;

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    // Attempts on one engine take turns; two engines are at it at a time.
    arguments.test_threads = Some(2);
    let mut attempts: Vec<(String, Attempt)> = Vec::new();
    for class in attempt::corpus()? {
        attempts.extend(
            class
                .attempts
                .into_iter()
                .map(|attempt| (class.name.clone(), attempt)),
        );
    }
    // Side by side stand those that start alike.
    attempts.sort_by(|(_, one), (_, other)| one.given.cmp(&other.given));
    let mut first = Vec::new();
    let mut second = Vec::new();
    for kind in EngineKind::ALL {
        for gates in [Gates::InForce, Gates::Open] {
            let shared = Shared::default();
            let shorter = if first.len() <= second.len() {
                &mut first
            } else {
                &mut second
            };
            shorter.extend(
                attempts
                    .iter()
                    .filter(|(_, attempt)| gates.concern(attempt, kind))
                    .map(|(class, attempt)| {
                        trial(kind, gates, class, attempt.clone(), Arc::clone(&shared))
                    }),
            );
        }
    }
    let trials = alternate(first, second);
    libtest_mimic::run(&arguments, trials).exit()
}

/// One of these, one of those, so that each of two threads finds an engine of its own.
fn alternate(first: Vec<Trial>, second: Vec<Trial>) -> Vec<Trial> {
    let mut trials = Vec::with_capacity(first.len() + second.len());
    let mut second = second.into_iter();
    for trial in first {
        trials.push(trial);
        trials.extend(second.next());
    }
    trials.extend(second);
    trials
}

fn trial(kind: EngineKind, gates: Gates, class: &str, attempt: Attempt, shared: Shared) -> Trial {
    let prefix = match gates {
        Gates::InForce => "",
        Gates::Open => "control ",
    };
    let name = format!("{prefix}{}::{class}::{}", kind.name(), attempt.id);
    Trial::test(name, move || {
        let mut stage = shared.lock().unwrap_or_else(PoisonError::into_inner);
        run(&mut stage, kind, gates, &attempt)
            .with_context(|| attempt.what.clone())
            .map_err(|error| format!("{error:#}").into())
    })
}

fn run(stage: &mut Option<Stage>, kind: EngineKind, gates: Gates, attempt: &Attempt) -> Result<()> {
    let mut ready = match stage.take() {
        Some(ready) => ready,
        None => Stage::new(kind, gates, Path::new(env!("CARGO_BIN_EXE_ramgate")))?,
    };
    // A stage on which something failed is not trusted with the next attempt: it is not put back.
    let outcome = ready.attempt(attempt)?;
    *stage = Some(ready);
    match gates {
        Gates::InForce => outcome.expect_nothing(),
        Gates::Open => outcome.expect_control(attempt),
    }
}
