//! Scenarios as trials: one lab for each engine and store, in which they run one after the other, each from the same start.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Trial};
use ramgate_lab::EngineKind;

use super::place::Place;

/// A scenario: what is done, and what must come of it.
pub(crate) type Scenario = fn(&Place) -> Result<()>;

/// Runs every scenario on every engine, as far as the command line asks for it, and leaves.
pub(crate) fn run(scenarios: &[(&str, Scenario)]) -> ! {
    let mut arguments = Arguments::from_args();
    // A lab is one engine: its scenarios take turns. Two labs at once would only slow each other on small machines.
    arguments.test_threads = Some(1);
    let trials = EngineKind::ALL
        .into_iter()
        .flat_map(|kind| on(kind, scenarios))
        .collect();
    libtest_mimic::run(&arguments, trials).exit()
}

fn on(kind: EngineKind, scenarios: &[(&str, Scenario)]) -> Vec<Trial> {
    // Made by the first scenario that needs it, removed when the next engine's turn comes.
    let place: Arc<Mutex<Option<Place>>> = Arc::default();
    let last = scenarios.len().saturating_sub(1);
    let mut trials = Vec::new();
    for (index, (name, scenario)) in scenarios.iter().enumerate() {
        let (place, scenario) = (Arc::clone(&place), *scenario);
        trials.push(Trial::test(format!("{}::{name}", kind.name()), move || {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let result = play(&mut place, kind, scenario);
            if index == last {
                *place = None;
            }
            result.map_err(|error| format!("{error:#}").into())
        }));
    }
    trials
}

fn play(place: &mut Option<Place>, kind: EngineKind, scenario: Scenario) -> Result<()> {
    if place.is_none() {
        *place = Some(Place::new(kind, Path::new(env!("CARGO_BIN_EXE_ramgate")))?);
    }
    let Some(ready) = place.as_ref() else {
        bail!("there is no lab")
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
