//! End to end: real Docker Engines, their real docker command lines, real registries, and ramgate between them.
//!
//! One lab for each engine and store; the scenarios run in it one after the other, each from the same start. Names are
//! `engine::scenario`, so that `cargo test --features engines --test engines -- 28.5` runs what one wants.

mod scenarios;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};
use ramgate_lab::EngineKind;
use scenarios::{Place, SCENARIOS};

fn main() {
    let mut arguments = Arguments::from_args();
    // A lab is one engine: its scenarios take turns. Two labs at once would only slow each other on small machines.
    arguments.test_threads = Some(1);
    let mut trials = Vec::new();
    for kind in EngineKind::ALL {
        // Made by the first scenario that needs it, removed when the next engine's turn comes.
        let place: Arc<Mutex<Option<Place>>> = Arc::default();
        let last = SCENARIOS.len() - 1;
        for (index, (name, scenario)) in SCENARIOS.iter().enumerate() {
            let place = Arc::clone(&place);
            trials.push(Trial::test(format!("{}::{name}", kind.name()), move || {
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                let result = run(&mut place, kind, *scenario);
                if index == last {
                    *place = None;
                }
                result.map_err(|error| format!("{error:#}").into())
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(
    place: &mut Option<Place>,
    kind: EngineKind,
    scenario: scenarios::Scenario,
) -> anyhow::Result<()> {
    if place.is_none() {
        *place = Some(Place::new(kind, Path::new(env!("CARGO_BIN_EXE_ramgate")))?);
    }
    let Some(ready) = place.as_ref() else {
        anyhow::bail!("there is no lab")
    };
    let result = ready.begin().and_then(|()| scenario(ready));
    match result {
        Ok(()) => Ok(()),
        Err(error) => {
            let report = ready.lab.report();
            // What is half done must not spoil the next scenario.
            *place = None;
            Err(error.context(report))
        }
    }
}
