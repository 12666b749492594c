//! Callers with client certificates, as dockerd passes their names on: owners, teams, and those without a name.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{Builder, Command, Fault, Identities, Image, Steering};
use serde_json::{Value, json};

use super::place::{COMMUNITY, Place, policy_with};

pub(super) fn by_certificate(place: &Place) -> Result<()> {
    let identities = Identities::new(&place.lab)?;
    place
        .lab
        .steer_engine_with(Steering::STANDARD, &Identities::engine())?;
    place.lab.restart_engine()?;
    let judged = owners_and_teams(place, &identities)
        .and_then(|()| identity_required(place, &identities))
        .and_then(|()| no_passenger(place, &identities));
    place.lab.steer_engine(Steering::STANDARD)?;
    place.lab.restart_engine()?;
    judged
}

fn subjects(require_identity: bool) -> Value {
    policy_with(
        "subjects",
        json!({
            "owners": ["alice"],
            "require-identity": require_identity,
            "teams": { "ci": { "members": ["ci-*"], "docker-hub": { "community": "allow" } } },
        }),
    )
}

fn owners_and_teams(place: &Place, identities: &Identities) -> Result<()> {
    place.policy(&subjects(false))?;
    let docker = |name: &str, arguments: &[&str]| {
        let docker = identities.docker(&place.lab, name)?;
        docker.args(arguments).run()
    };
    let is_there = || -> Result<bool> {
        let images = place
            .docker(&["images", "-q", "evil/tool"])?
            .expect_success()?;
        Ok(!images.stdout.trim().is_empty())
    };
    let run = ["run", "--rm", "--network", "none", "evil/tool", "true"];

    // In no team, in no list, or only nearly so: an empty name is none, and case counts.
    for name in ["bob", "Alice", "alice ", "CI-1", "ci", ""] {
        docker(name, &["pull", "evil/tool"])?.expect_failure(COMMUNITY)?;
        ensure!(!is_there()?, "`{name}` has pulled it");
        docker(name, &["pull", "alpine:3"])?.expect_success()?;
    }
    place
        .docker(&["pull", "evil/tool"])?
        .expect_failure(COMMUNITY)?;

    for name in ["alice", "ci-1"] {
        docker(name, &["pull", "evil/tool"])
            .and_then(ramgate_lab::Output::expect_success)
            .with_context(|| format!("`{name}` pulls"))?;
        ensure!(is_there()?, "`{name}` has not pulled it");
        docker(name, &run)?.expect_success()?;
        // What one may run, another may not, although it is there.
        docker("bob", &run)?.expect_failure(COMMUNITY)?;
        place.docker(&run)?.expect_failure(COMMUNITY)?;
        // And the mirror had it for no longer than that pull.
        let status = place.mirror_status("/v2/evil/tool/manifests/latest?ns=docker.io")?;
        ensure!(status == "403", "after the pull of `{name}`: {status}");
        place
            .docker(&["rmi", "-f", "evil/tool"])?
            .expect_success()?;
    }
    // A team has its own rules of Docker Hub, and the policy's of all else.
    docker("ci-1", &["pull", "ghcr.io/acme/app:1"])?
        .expect_failure("has been restricted by your administrators")?;
    ensure!(
        place.audited(r#""principal":"ci-1""#)? > 0 && place.audited(r#""principal":"bob""#)? > 0,
        "the audit log has no names"
    );
    Ok(())
}

fn identity_required(place: &Place, identities: &Identities) -> Result<()> {
    place.policy(&subjects(true))?;
    let text = "identity";
    for pulled in ["alpine:3", "evil/tool"] {
        place.docker(&["pull", pulled])?.expect_failure(text)?;
    }
    identities
        .docker(&place.lab, "")?
        .args(["pull", "alpine:3"])
        .run()?
        .expect_failure(text)?;
    // What bears no image needs no name.
    place.docker(&["ps"])?.expect_success()?;
    let bob = identities.docker(&place.lab, "bob")?;
    bob.args(["pull", "alpine:3"]).run()?.expect_success()?;
    Ok(())
}

/// While the mirror is open for one user, no build of another begins, and the other way round.
fn no_passenger(place: &Place, identities: &Identities) -> Result<()> {
    place.policy(&subjects(false))?;
    place.clear()?;
    let docker = |name: &str, arguments: &[&str]| -> Result<Command> {
        Ok(identities.docker(&place.lab, name)?.args(arguments))
    };
    let build = |name: &str, dockerfile: &str| {
        let build = docker(name, &["build", "--network", "none", "-"])?;
        let build = build.env("DOCKER_BUILDKIT", "0").stdin(dockerfile);
        build.run()
    };
    // What has ended leaves nothing open behind it, whichever builder it was.
    for builder in Builder::ALL {
        let built = place.lab.build(builder, "acme/built:1", "FROM alpine:3\n");
        built?.expect_success()?;
    }
    docker("alice", &["pull", "evil/tool"])?
        .run()?
        .expect_success()?;
    place.clear()?;

    // One that the mirror does not have yet.
    let hub = place.lab.docker_hub();
    let image = Image::busybox("docker.io/evil/other:latest")?;
    hub.push("evil/other", "latest", &image)?;
    hub.set_fault(Some(Fault::Stall));
    let pull = docker("alice", &["pull", "evil/other"])?.spawn("pull");
    let met = pull.and_then(|pull| {
        place.wait_for_audit("evil/other", 0)?;
        build("bob", "FROM evil/other\n")?
            .expect_failure("`docker.io/evil/other` is pulled just now")?;
        Ok(pull)
    });
    hub.set_fault(None);
    let pulled = met?.wait(Duration::from_secs(20))?;
    ensure!(pulled.success(), "the owner's pull failed: {pulled}");
    place.clear()?;
    build("bob", "FROM alpine:3\n")?.expect_success()?;
    Ok(())
}
