//! Clients of registries that are no Docker Engine, each as its own documentation has it use a mirror: what is allowed comes, byte for
//! byte, and what is not is refused in the policy's words.
//!
//! Names are `client::what`, so that `cargo test --features engines --test pullers -- podman` runs what one wants.

mod puller;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};
use puller::Place;

fn main() {
    let mut arguments = Arguments::from_args();
    // One lab for all of them.
    arguments.test_threads = Some(1);
    let place: Arc<Mutex<Option<Place>>> = Arc::default();
    let last = puller::TRIALS.len() - 1;
    let trials = puller::TRIALS
        .iter()
        .enumerate()
        .map(|(index, (name, act))| {
            let place = Arc::clone(&place);
            Trial::test(*name, move || {
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                if place.is_none() {
                    let ramgate = Path::new(env!("CARGO_BIN_EXE_ramgate"));
                    *place = Some(Place::new(ramgate).map_err(|error| format!("{error:#}"))?);
                }
                let Some(ready) = place.as_ref() else {
                    return Err("there is no lab".into());
                };
                let result = ready.begin().and_then(|()| act(ready));
                let result =
                    result.map_err(|error| format!("{error:#}\n{}", ready.lab.report()).into());
                if index == last {
                    *place = None;
                }
                result
            })
        });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
