//! podman, with `registries.conf`, which CRI-O and buildah read through the same library.

use anyhow::{Result, ensure};

use crate::puller::place::{COMMUNITY, Place, RESTRICTED, alpine};

pub(crate) fn pulls(place: &Place) -> Result<()> {
    pull(place, LOCATION, "docker.io/library/alpine:3")?.expect_success()?;
    let image = alpine()?;
    let id = place
        .podman(LOCATION)
        .args([
            "image",
            "inspect",
            "--format",
            "{{.Id}}",
            "docker.io/library/alpine:3",
        ])
        .run()?
        .expect_success()?;
    ensure!(
        format!("sha256:{}", id.stdout.trim()) == image.config_digest(),
        "{id}"
    );
    pull(place, LOCATION, "ghcr.io/acme/app:1")?.expect_success()?;
    place.only_ramgate_asked()
}

pub(crate) fn pulls_from_mirror(place: &Place) -> Result<()> {
    pull(place, "/tmp/mirror.conf", "docker.io/library/other:latest")?.expect_success()?;
    place.only_ramgate_asked()
}

pub(crate) fn is_refused(place: &Place) -> Result<()> {
    pull(place, LOCATION, "docker.io/evil/tool:latest")?.expect_failure(COMMUNITY)?;
    pull(place, LOCATION, "ghcr.io/other/thing:1")?.expect_failure(RESTRICTED)?;
    place.nobody_was_asked()
}

fn pull(place: &Place, conf: &str, reference: &str) -> Result<ramgate_lab::Output> {
    place
        .podman(conf)
        .args(["pull", "--quiet", reference])
        .run()
}

const LOCATION: &str = "/tmp/location.conf";
