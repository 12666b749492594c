//! What is pulled: by registry, by category, and what is cached.

use anyhow::{Result, ensure};
use ramgate_lab::{Image, Lab, Steering};
use serde_json::json;

use super::place::{COMMUNITY, CONTACT, Place, RESTRICTED, policy_with};

pub(super) fn official_image(place: &Place) -> Result<()> {
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    let run = place
        .docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "alpine:3",
            "echo",
            "it runs",
        ])?
        .expect_success()?;
    ensure!(run.stdout == "it runs\n", "{run}");
    let requests = place.lab.docker_hub().requests();
    ensure!(!requests.is_empty(), "nothing was fetched");
    let foreign: Vec<_> = requests
        .iter()
        .filter(|request| !request.user_agent.starts_with("ramgate"))
        .collect();
    ensure!(
        foreign.is_empty(),
        "the engine reached Docker Hub itself: {foreign:?}"
    );

    // Again from the cache: not one blob comes from Docker Hub.
    place.clear()?;
    place.lab.docker_hub().forget();
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    ensure!(
        place
            .lab
            .docker_hub()
            .requests_under("/v2/library/alpine/blobs/")
            .is_empty(),
        "a cached blob was fetched again"
    );
    Ok(())
}

pub(super) fn registry_not_listed(place: &Place) -> Result<()> {
    let refused = place
        .docker(&["pull", "ghcr.io/acme/app:1"])?
        .expect_failure(&format!("Access to ghcr.io {RESTRICTED}"))?;
    ensure!(
        refused
            .text()
            .contains("To access this registry, ask your administrators to add it"),
        "{refused}"
    );
    ensure!(refused.text().contains(CONTACT), "{refused}");
    place
        .docker(&["push", "ghcr.io/acme/app:1"])?
        .expect_failure(RESTRICTED)?;
    place
        .docker(&[
            "plugin",
            "install",
            "--grant-all-permissions",
            "ghcr.io/acme/app:1",
        ])?
        .expect_failure(RESTRICTED)?;
    let ghcr = place.lab.ghcr();
    ensure!(
        ghcr.connections() == 0,
        "ghcr.io was reached {} times: {:?}",
        ghcr.connections(),
        ghcr.requests()
    );

    // Listed, it is reached directly, through the egress gate.
    place.policy(&policy_with(
        "registries",
        json!([{ "host": "docker.io" }, { "host": "ghcr.io", "repositories": ["acme/**"] }]),
    ))?;
    place
        .docker(&["pull", "ghcr.io/acme/app:1"])?
        .expect_success()?;
    place
        .docker(&["pull", "ghcr.io/other/thing:1"])?
        .expect_failure(&format!("Access to ghcr.io {RESTRICTED}"))?;
    place
        .docker(&["push", "ghcr.io/acme/app:1"])?
        .expect_failure("push of ghcr.io/acme/app is not allowed")?;
    Ok(())
}

pub(super) fn categories(place: &Place) -> Result<()> {
    let refused = place
        .docker(&["pull", "evil/tool"])?
        .expect_failure(COMMUNITY)?;
    ensure!(
        refused.text().contains("docker-hub.community is deny"),
        "{refused}"
    );
    ensure!(
        place
            .lab
            .docker_hub()
            .requests_under("/v2/evil/")
            .is_empty(),
        "the denied image was asked for"
    );
    place.docker(&["pull", "acme/app:1"])?.expect_success()?;
    // All of its tags; of which there are is the mirror asked as well.
    place
        .docker(&["pull", "--all-tags", "acme/app"])?
        .expect_success()?;
    place
        .docker(&["pull", "--all-tags", "evil/tool"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["pull", "grafana/grafana:1"])?
        .expect_success()?;
    Ok(())
}

pub(super) fn cached_is_refused(place: &Place) -> Result<()> {
    let alpine = Image::busybox("docker.io/library/alpine:3")?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    let layer = alpine.layer_digest();
    let paths = |name: &str| {
        [
            format!("/v2/library/alpine/{name}?ns=docker.io"),
            format!("/v2/library/alpine/{name}?ns=registry-1.docker.io%3A443"),
            format!("/v2/library/alpine/{name}"),
            format!("/v2/docker.io/library/alpine/{name}"),
        ]
    };
    let all: Vec<String> = paths("manifests/3")
        .into_iter()
        .chain(paths(&format!("manifests/{}", alpine.manifest_digest())))
        .chain(paths(&format!("blobs/{layer}")))
        .collect();
    for path in &all {
        let status = place.mirror_status(path)?;
        ensure!(status == "200", "{path} while allowed: {status}");
    }

    // Docker Hub comes off the list. (a) The plugin refuses a new pull.
    place.policy(&policy_with("registries", json!([{ "host": "ghcr.io" }])))?;
    place.clear()?;
    place.lab.docker_hub().forget();
    place
        .docker(&["pull", "alpine:3"])?
        .expect_failure(&format!("Access to docker.io {RESTRICTED}"))?;
    // (b) The mirror refuses what it has cached, under every name.
    for path in &all {
        let status = place.mirror_status(path)?;
        ensure!(status == "403", "{path} once denied: {status}");
    }
    // (c) Without the plugin the pull still fails, and the engine has not reached Docker Hub.
    place.lab.steer_engine(Steering {
        plugin: false,
        ..Steering::STANDARD
    })?;
    place.lab.restart_engine()?;
    let without_plugin = place.docker(&["pull", "alpine:3"]);
    let hub = place.lab.docker_hub();
    let (connections, requests) = (hub.connections(), hub.requests());
    place.lab.steer_engine(Steering::STANDARD)?;
    place.lab.restart_engine()?;
    without_plugin?.expect_failure(RESTRICTED)?;
    ensure!(connections == 0, "Docker Hub was reached: {requests:?}");

    // (d) Back on the list, it is served from the cache.
    place.policy(&Lab::policy())?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    ensure!(
        hub.requests_under("/v2/library/alpine/blobs/").is_empty(),
        "a cached blob was fetched again"
    );
    Ok(())
}
