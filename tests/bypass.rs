//! The bypass corpus: attempts to get at what the policy denies, as data, each made raw on real engines behind ramgate.
//!
//! What is asserted is the state of the engine and of the world afterwards, never what ramgate answered. That an attempt is a
//! real one shows its control: the same on an engine without gates reaches its goal.
//!
//! `cargo test --features engines --test bypass -- 28.5::json` runs what one wants.

#[path = "bypass/attempt.rs"]
#[expect(
    dead_code,
    reason = "shared with tests/corpus.rs, which holds the corpus against docs/threats.md"
)]
mod attempt;
#[path = "bypass/crew.rs"]
mod crew;
#[path = "bypass/stage.rs"]
mod stage;
#[path = "bypass/vocabulary.rs"]
mod vocabulary;
#[path = "bypass/wire.rs"]
mod wire;
#[path = "bypass/world.rs"]
mod world;

use std::sync::Arc;

use anyhow::Result;
use attempt::Attempt;
use crew::{Crew, Slot, Work};
use libtest_mimic::{Arguments, Trial};
use ramgate_lab::EngineKind;
use stage::Gates;

/// A trial's name, and where its outcome will be.
type Expected = (String, Arc<Slot>);

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    // Trials only wait: the crew works side by side.
    arguments.test_threads = Some(1);
    let (names, labs) = plan()?;
    let crew = Arc::new(Crew::new(labs));
    let trials = names
        .into_iter()
        .map(|(name, slot)| {
            let crew = Arc::clone(&crew);
            Trial::test(name, move || {
                crew.begin();
                slot.wait().map_err(Into::into)
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    crew.end();
    conclusion.exit()
}

/// Every trial by its name, and the work by labs.
fn plan() -> Result<(Vec<Expected>, Vec<Work>)> {
    let mut attempts: Vec<(String, Attempt)> = Vec::new();
    for class in attempt::corpus()? {
        let name = class.name;
        attempts.extend(
            class
                .attempts
                .into_iter()
                .map(|attempt| (name.clone(), attempt)),
        );
    }
    // Side by side stand those that start alike.
    attempts.sort_by(|(_, one), (_, other)| one.given.cmp(&other.given));
    let (mut names, mut labs) = (Vec::new(), Vec::new());
    for (prefix, gates) in [("", Gates::InForce), ("control ", Gates::Open)] {
        for kind in EngineKind::ALL {
            let mut work = Work {
                kind,
                gates,
                attempts: Vec::new(),
            };
            for (class, attempt) in &attempts {
                if gates.concern(attempt, kind) {
                    let slot = Arc::<Slot>::default();
                    let name = format!("{prefix}{}::{class}::{}", kind.name(), attempt.id);
                    names.push((name, Arc::clone(&slot)));
                    work.attempts.push((attempt.clone(), slot));
                }
            }
            labs.push(work);
        }
    }
    Ok((names, labs))
}
