//! No false alarm: real clients at work with images that the policy allows, behind ramgate. Every step succeeds, and no gate has
//! refused anything or failed to read it.
//!
//! Names are `engine::client`, so that `cargo test --features engines --test clients -- compose` runs what one wants.

#[path = "scenarios/place.rs"]
#[expect(dead_code, reason = "clients need no more than a place to work at")]
mod place;
mod sessions;
#[path = "scenarios/trials.rs"]
mod trials;

fn main() {
    trials::run(&sessions::SESSIONS);
}
