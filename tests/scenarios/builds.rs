//! What is built.

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

    ways_past_the_gates(place)
}

/// `gated` holds only while the daemon uses the other gates, and the denial says what to set.
fn ways_past_the_gates(place: &Place) -> Result<()> {
    let denied = |advice: &str| -> Result<()> {
        // What was found about the gates is remembered for some seconds.
        place.lab.stop_ramgate()?;
        place.lab.start_ramgate()?;
        place
            .lab
            .build(Builder::Classic, "acme/built:1", "FROM alpine:3\n")?
            .expect_failure("building images is not allowed on this daemon")?
            .expect_failure(advice)?;
        Ok(())
    };
    let hosts_file = "/etc/docker/certs.d/evil.example/hosts.toml";
    place
        .lab
        .write_file(hosts_file, "server = \"http://127.0.0.1:9\"\n")?;
    let by_hosts_file = denied(hosts_file);
    place.lab.remove_file(hosts_file)?;
    by_hosts_file?;

    let without_egress = Steering {
        egress: false,
        ..Steering::STANDARD
    };
    place.lab.steer_engine(without_egress)?;
    place.lab.restart_engine()?;
    let by_no_proxy = denied("set the daemon's `http-proxy`");
    place.lab.steer_engine(Steering::STANDARD)?;
    place.lab.restart_engine()?;
    place.lab.stop_ramgate()?;
    place.lab.start_ramgate()?;
    by_no_proxy
}
