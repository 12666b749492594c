//! What is built.

use std::time::Duration;

use anyhow::{Result, ensure};
use ramgate_lab::{Builder, Steering};

use super::place::{COMMUNITY, Place, RESTRICTED};

pub(super) fn builds(place: &Place) -> Result<()> {
    for builder in Builder::ALL {
        let build = |dockerfile: &str| place.lab.build(builder, "acme/built:1", dockerfile);
        build("FROM alpine:3\nRUN echo built > /built\n")?.expect_success()?;
        let run = place
            .docker(&[
                "run",
                "--rm",
                "--network",
                "none",
                "acme/built:1",
                "cat",
                "/built",
            ])?
            .expect_success()?;
        ensure!(run.stdout == "built\n", "{builder:?}: {run}");
        build("FROM alpine:3\nADD https://files.example/hello.txt /hello.txt\n")?
            .expect_success()?;

        // BuildKit shows the mirror's words; the classic puller goes on to Docker Hub itself and shows where that ends.
        let denied = match builder {
            Builder::BuildKit => COMMUNITY,
            Builder::Classic if place.lab.kind().has_containerd_store() => COMMUNITY,
            Builder::Classic => "Access to docker.io has been restricted by your administrators",
        };
        build("FROM evil/tool\n")?.expect_failure(denied)?;
        build("FROM ghcr.io/other/thing:1\n")?
            .expect_failure(&format!("Access to ghcr.io {RESTRICTED}"))?;
        build("FROM alpine:3\nADD https://denied.example/hello.txt /\n")?
            .expect_failure(&format!("Access to denied.example {RESTRICTED}"))?;
        build("FROM alpine:3\nCOPY --from=evil/tool /bin/busybox /x\n")?.expect_failure(denied)?;
        place.docker(&["rmi", "-f", "acme/built:1"])?;
    }
    ensure!(
        place.lab.denied_host().connections() == 0,
        "denied.example was reached"
    );
    ensure!(place.lab.ghcr().connections() == 0, "ghcr.io was reached");
    ensure!(
        place
            .lab
            .docker_hub()
            .requests_under("/v2/evil/")
            .is_empty(),
        "the denied image was asked for"
    );

    // `gated` holds only while the daemon uses the other gates.
    place.lab.steer_engine(Steering {
        egress: false,
        ..Steering::STANDARD
    })?;
    place.lab.restart_engine()?;
    // The answer about the gates is remembered for ten seconds.
    std::thread::sleep(Duration::from_secs(11));
    let ungated = place
        .lab
        .build(Builder::Classic, "acme/built:1", "FROM alpine:3\n");
    place.lab.steer_engine(Steering::STANDARD)?;
    place.lab.restart_engine()?;
    std::thread::sleep(Duration::from_secs(11));
    ungated?.expect_failure("building images is not allowed on this daemon")?;
    Ok(())
}
