//! Images that are mounted into containers: the engine settles which they are when it makes the container, and shows their names alone.

use anyhow::{Result, ensure};
use ramgate_lab::Lab;
use serde_json::json;

use super::place::{COMMUNITY, Place};

/// What is mounted is judged at each start by what it is, whatever its name has come to stand for, and by nothing if nobody saw it.
pub(super) fn mounted_images(place: &Place) -> Result<()> {
    if !place.lab.kind().mounts_images() {
        let mount = "type=image,source=alpine:3,target=/x";
        let refused = place.docker(&["create", "--mount", mount, "alpine:3"])?;
        refused.expect_failure("mount")?;
        return Ok(());
    }
    let done = |arguments: &[&str]| place.docker(arguments)?.expect_success();
    done(&["pull", "alpine:3"])?;
    done(&["pull", "acme/app:1"])?;
    create(place, "good", "acme/app:1")?;
    let taken = ["create", "--name", "taken", "--network", "none"];
    let taken = [&taken[..], &["--volumes-from", "good", "alpine:3"], &SHOW].concat();
    done(&taken)?;
    let shows = |name: &str| -> Result<()> {
        let shown = done(&["start", "-a", name])?.stdout;
        ensure!(shown.contains("docker.io/acme/app:1"), "{shown}");
        Ok(())
    };
    shows("good")?;
    shows("taken")?;
    // It is in the ledger, and the name may go.
    place.lab.stop_ramgate()?;
    place.lab.start_ramgate()?;
    done(&["rmi", "-f", "acme/app:1"])?;
    shows("good")?;
    shows("taken")?;

    place.policy(&json!({ "version": 1 }))?;
    done(&["pull", "evil/tool"])?;
    done(&["tag", "evil/tool", "acme/moved:1"])?;
    create(place, "moved", "acme/moved:1")?;
    done(&["tag", "alpine:3", "acme/moved:1"])?;
    place.policy(&Lab::policy())?;
    for arguments in [&["start", "moved"][..], &["rename", "moved", "other"]] {
        let refused = place.docker(arguments)?.expect_failure(COMMUNITY)?;
        ensure!(
            refused.text().contains("`acme/moved:1` is image"),
            "{refused}"
        );
    }

    place.without_plugin(|| create(place, "unseen", "alpine:3"))?;
    place.lab.start_engine()?;
    place
        .docker(&["start", "unseen"])?
        .expect_failure("make the container anew")?;
    Ok(())
}

fn create(place: &Place, name: &str, source: &str) -> Result<()> {
    let mount = format!("type=image,source={source},target=/x");
    let create = ["create", "--name", name, "--network", "none", "--mount"];
    let create = [&create[..], &[&mount, "alpine:3"], &SHOW].concat();
    place.docker(&create)?.expect_success()?;
    Ok(())
}

/// Prints the marker of what is mounted.
const SHOW: [&str; 2] = ["cat", "/x/marker"];
