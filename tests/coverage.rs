//! The map of what holds: each way to an image, on each engine, at each level of installation. What is allowed passes; what is
//! denied fails with our words, and nobody out there hears of it; what the documentation calls open is tried, and is open.
//!
//! What must come out is the table in `docs/egress.md`, and a table of what did is printed. Names are those of engines and levels:
//! `cargo test --features engines --test coverage -- "28.5 strict"`.

#[path = "coverage/acts.rs"]
mod acts;
#[path = "coverage/heard.rs"]
mod heard;
#[path = "coverage/paths.rs"]
mod paths;
#[path = "coverage/stage.rs"]
mod stage;
#[path = "coverage/table.rs"]
mod table;
#[path = "coverage/target.rs"]
mod target;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Trial};
use paths::PATHS;
use ramgate_lab::EngineKind;
use stage::{Level, Stage};
use table::Table;

#[expect(clippy::print_stdout, reason = "the table is for people")]
fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let measured: Arc<Mutex<Table>> = Arc::default();
    let mut trials = Vec::new();
    for level in Level::ALL {
        for kind in EngineKind::ALL {
            let measured = Arc::clone(&measured);
            let name = format!("{} {}", kind.name(), level.name());
            trials.push(Trial::test(name, move || {
                on(kind, level, &measured).map_err(|error| format!("{error:#}").into())
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let measured = measured.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{measured}");
    conclusion.exit()
}

/// Tries everything on one engine, and holds it against the documentation.
fn on(kind: EngineKind, level: Level, measured: &Mutex<Table>) -> Result<()> {
    let documented = Table::documented()?;
    let stage = Stage::new(kind, level)?;
    let mut differences = Vec::new();
    for path in &PATHS {
        for target in path.targets {
            let attempt = stage.attempt(path, *target);
            let (cell, shown) = attempt.map_err(|error| stage.told(error))?;
            let row = (level, path.title, target.title());
            let expected = documented.cell(row, kind);
            if expected != Some(cell.as_str()) {
                let expected = expected.unwrap_or("nothing");
                differences.push(format!(
                    "{}, {}: documented is `{expected}`, and it is `{cell}`\n{shown}",
                    path.title,
                    target.title()
                ));
            }
            let mut measured = measured.lock().unwrap_or_else(PoisonError::into_inner);
            measured.put(row, kind, cell);
        }
    }
    if !differences.is_empty() {
        bail!(
            "docs/egress.md, level {}:\n{}",
            level.name(),
            differences.join("\n\n")
        );
    }
    Ok(())
}
