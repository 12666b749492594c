//! What is on the host: everyday work, and images that are denied.

use anyhow::{Context as _, Result};
use ramgate_lab::Lab;
use serde_json::json;

use super::place::{COMMUNITY, Place};

pub(super) fn everyday_commands(place: &Place) -> Result<()> {
    let done = |arguments: &[&str]| place.docker(arguments)?.expect_success();
    done(&["pull", "alpine:3"])?;
    done(&["version"])?;
    done(&["info"])?;
    done(&["images"])?;
    done(&["image", "inspect", "alpine:3"])?;
    done(&["image", "history", "alpine:3"])?;
    done(&["volume", "create", "data"])?;
    done(&["network", "ls"])?;
    done(&[
        "create",
        "--name",
        "box",
        "--network",
        "none",
        "-v",
        "data:/data",
        "-e",
        "A=b",
        "alpine:3",
        "sleep",
        "60",
    ])?;
    done(&["start", "box"])?;
    done(&["exec", "box", "echo", "hello"])?;
    done(&["logs", "box"])?;
    done(&["top", "box"])?;
    done(&["stats", "--no-stream", "box"])?;
    done(&["cp", "box:/bin/busybox", "/tmp/busybox"])?;
    done(&["cp", "/tmp/busybox", "box:/tmp-busybox"])?;
    done(&["pause", "box"])?;
    done(&["unpause", "box"])?;
    done(&["rename", "box", "crate"])?;
    done(&["update", "--restart", "no", "crate"])?;
    done(&["restart", "-t", "0", "crate"])?;
    done(&["commit", "crate", "acme/committed:1"])?;
    done(&["tag", "alpine:3", "acme/tagged:1"])?;
    done(&["run", "--rm", "--network", "none", "acme/tagged:1", "true"])?;
    // By ID, and by the start of it, as scripts do.
    let id = done(&["image", "inspect", "-f", "{{.Id}}", "alpine:3"])?.stdout;
    let id = id.trim();
    done(&["run", "--rm", "--network", "none", id, "true"])?;
    let short = id
        .strip_prefix("sha256:")
        .and_then(|id| id.get(..12))
        .context("an image ID is long")?;
    done(&["run", "--rm", "--network", "none", short, "true"])?;
    done(&["save", "-o", "/tmp/alpine.tar", "alpine:3"])?;
    done(&["export", "-o", "/tmp/root.tar", "crate"])?;
    done(&["kill", "crate"])?;
    done(&["rm", "crate"])?;
    done(&["volume", "rm", "data"])?;
    done(&["rmi", "acme/tagged:1"])?;
    done(&["system", "df"])?;
    done(&["container", "prune", "-f"])?;
    done(&["image", "prune", "-f"])?;
    // What brings content without a pull is refused by default, and says so.
    place
        .docker(&["load", "-i", "/tmp/alpine.tar"])?
        .expect_failure("loading images has been restricted")?;
    place
        .docker(&["import", "/tmp/root.tar", "evil/imported:1"])?
        .expect_failure("importing images has been restricted")?;
    Ok(())
}

pub(super) fn local_image(place: &Place) -> Result<()> {
    place.policy(&json!({ "version": 1 }))?;
    place.docker(&["pull", "evil/tool"])?.expect_success()?;
    place
        .docker(&[
            "create",
            "--name",
            "before",
            "--network",
            "none",
            "evil/tool",
            "true",
        ])?
        .expect_success()?;
    let id = place
        .docker(&["image", "inspect", "-f", "{{.Id}}", "evil/tool"])?
        .expect_success()?
        .stdout;
    let id = id.trim();
    let short = id
        .strip_prefix("sha256:")
        .and_then(|id| id.get(..12))
        .context("an image ID is long")?;
    place.policy(&Lab::policy())?;
    for name in ["evil/tool", "docker.io/evil/tool:latest", id, short] {
        place
            .docker(&["create", name, "true"])?
            .expect_failure(COMMUNITY)?;
        place
            .docker(&["run", "--rm", "--network", "none", name, "true"])?
            .expect_failure(COMMUNITY)?;
    }
    // What was created while it was allowed does not start either, and a new name does not help.
    place
        .docker(&["start", "before"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["restart", "before"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["tag", "evil/tool", "acme/good"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["tag", short, "acme/good"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["commit", "before", "acme/good"])?
        .expect_failure(COMMUNITY)?;
    Ok(())
}
