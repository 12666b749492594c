//! End to end: real Docker Engines, their real docker command lines, real registries, and ramgate between them.
//!
//! Names are `engine::scenario`, so that `cargo test --features engines --test engines -- 28.5` runs what one wants.

mod scenarios;

fn main() {
    scenarios::trials::run(&scenarios::SCENARIOS);
}
