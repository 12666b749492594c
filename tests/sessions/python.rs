//! Clients that are no docker CLI: docker-py, and the requests that a console like Portainer sends.

use anyhow::{Result, ensure};
use ramgate_lab::EngineKind;

use super::client::{Client, untouched};
use crate::place::Place;

pub(super) fn docker_py(place: &Place) -> Result<()> {
    run(place, include_str!("docker_py.py"))
}

pub(super) fn portainer(place: &Place) -> Result<()> {
    run(place, include_str!("portainer.py"))
}

fn run(place: &Place, script: &str) -> Result<()> {
    let client = Client::of(EngineKind::Docker28_5, place);
    untouched(place, || {
        place.lab.write_file("/tmp/session.py", script)?;
        let output = client
            .command("python3")
            .args(["/tmp/session.py"])
            .run()?
            .expect_success()?;
        ensure!(output.stdout.ends_with("done\n"), "{output}");
        Ok(())
    })
}
