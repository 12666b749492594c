//! What containers, and a host's own programs, fetch by themselves, captured and judged: in network namespaces, with real clients and
//! a real container, by the rules as `ramgate egress nft` makes them.
//!
//! One lab after the other: `cargo test --features engines --test transparent -- registries`.

#[path = "transparent/clients.rs"]
mod clients;
#[path = "transparent/trials.rs"]
mod trials;
#[path = "transparent/world.rs"]
mod world;

use libtest_mimic::{Arguments, Trial};
use std::sync::{Arc, Mutex, PoisonError};
use world::World;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    // One lab for all of them.
    let world: Arc<Mutex<Option<World>>> = Arc::default();
    let last = trials::TRIALS.len() - 1;
    let trials = trials::TRIALS
        .iter()
        .enumerate()
        .map(|(index, (name, act))| {
            let world = Arc::clone(&world);
            Trial::test(*name, move || {
                let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
                if world.is_none() {
                    *world = Some(World::new().map_err(|error| format!("{error:#}"))?);
                }
                let Some(ready) = world.as_ref() else {
                    return Err("there is no lab".into());
                };
                ready.begin();
                let result = act(ready);
                let result =
                    result.map_err(|error| format!("{error:#}\n{}", ready.lab.report()).into());
                if index == last {
                    *world = None;
                }
                result
            })
        });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
