//! Whether dockerd reads requests as the modules of `plugin/` believe: raw bytes to real engines, with a plugin that allows all
//! and remembers what it was told.
//!
//! One lab for each engine and store; the rows run in it one after the other. Names are `engine::module::quirk`, so that
//! `cargo test --features engines --test differential -- go_json` runs what one wants.

mod row;
mod rows;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Trial};
use ramgate_lab::{EngineKind, Lab, LabOptions, Recorder};
use row::Row;
use serde_json::json;
use tempfile::NamedTempFile;

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // A lab is one engine: its rows take turns.
    arguments.test_threads = Some(1);
    // A build that goes on meanwhile must not change what is tested.
    let ramgate = NamedTempFile::new()?;
    std::fs::copy(env!("CARGO_BIN_EXE_ramgate"), ramgate.path())?;
    let mut trials = Vec::new();
    for kind in EngineKind::ALL {
        // Made by the first row that needs it, removed after the last.
        let place: Arc<Mutex<Option<Place>>> = Arc::default();
        let rows: Vec<Row> = rows::rows()
            .into_iter()
            .filter(|row| row.runs_on(kind))
            .collect();
        let mut left = rows.len();
        for row in rows {
            left -= 1;
            let (place, is_last) = (Arc::clone(&place), left == 0);
            let name = format!("{}::{}::{}", kind.name(), row.module, row.quirk);
            let ramgate = ramgate.path().to_owned();
            trials.push(Trial::test(name, move || {
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                let result = run(&mut place, kind, &ramgate, &row);
                if is_last {
                    *place = None;
                }
                result.map_err(|error| format!("{error:#}").into())
            }));
        }
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

/// An engine with two images and a plugin that allows all.
struct Place {
    lab: Lab,
    recorder: Recorder,
}

// === impl Place ===

impl Place {
    fn new(kind: EngineKind, ramgate: &Path) -> Result<Self> {
        let lab = Lab::start(kind, &LabOptions::default())?;
        // Whatever can be read is allowed, so that what is refused is refused for how it reads.
        let policy = json!({
            "version": 1,
            "local-images": {
                "build": "allow", "load": "allow", "import": "allow",
                "commit": "allow", "tag": "allow", "unknown": "allow",
            },
        });
        lab.install_ramgate(ramgate, &policy, &Lab::settings())?;
        let recorder = lab.record()?;
        lab.start_engine()?;
        for image in ["alpine:3", "evil/tool"] {
            lab.docker(&["pull", image])?.expect_success()?;
        }
        Ok(Self { lab, recorder })
    }
}

fn run(place: &mut Option<Place>, kind: EngineKind, ramgate: &Path, row: &Row) -> Result<()> {
    if place.is_none() {
        *place = Some(Place::new(kind, ramgate)?);
    }
    let place = place.as_ref().context("there is no lab")?;
    if row.module == "message" {
        place.recorder.hang_up_once();
    }
    row.run(&place.lab, &place.recorder)
}
