//! containerd, as Kubernetes runs it: with a `hosts.toml` for all registries.

use anyhow::{Result, ensure};

use crate::puller::place::{COMMUNITY, HOSTS_DIRECTORY, Place, RESTRICTED, alpine};

pub(crate) fn pulls(place: &Place) -> Result<()> {
    let image = alpine()?;
    pull(place, "docker.io/library/alpine:3")
        .run()?
        .expect_success()?;
    for digest in [
        image.digest(),
        image.manifest_digest(),
        image.config_digest(),
        image.layer_digest(),
    ] {
        // containerd verifies what it keeps; here it is whether it is there.
        let content = place
            .ctr()
            .args(["content", "ls", "-q"])
            .run()?
            .expect_success()?;
        ensure!(
            content.stdout.contains(digest),
            "{digest} is not there: {content}"
        );
    }
    pull(place, "ghcr.io/acme/app:1").run()?.expect_success()?;
    place.only_ramgate_asked()
}

pub(crate) fn is_refused(place: &Place) -> Result<()> {
    // It asks by HEAD, whose answer has no body: what it prints is the reason phrase.
    for (reference, text) in [
        ("docker.io/evil/tool:latest", COMMUNITY),
        ("ghcr.io/other/thing:1", RESTRICTED),
        ("denied.example/some/thing:1", RESTRICTED),
    ] {
        pull(place, reference).run()?.expect_failure(text)?;
    }
    place.nobody_was_asked()
}

fn pull(place: &Place, reference: &str) -> ramgate_lab::Command {
    place
        .ctr()
        .args(["images", "pull", "--snapshotter", "native"])
        .args(["--hosts-dir", HOSTS_DIRECTORY, reference])
}
