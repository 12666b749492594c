//! Clients that containers bring along: each pulls what it may and nothing else, by whatever way of its own, and knows nothing of ramgate.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ramgate_lab::{Command, Output, Process};

use crate::world::{TRUST, World};

/// What may be pulled, by repository and category.
const ALLOWED: [&str; 2] = ["ghcr.io/acme/app:1", "docker.io/library/alpine:3"];
const DENIED: [&str; 2] = ["ghcr.io/other/thing:1", "docker.io/evil/tool:latest"];

pub(crate) fn skopeo(world: &World) -> Result<()> {
    pulls(world, |image| world.skopeo(image))
}

/// As podman and buildah and CRI-O do, which have one library for it.
pub(crate) fn podman(world: &World) -> Result<()> {
    pulls(world, |image| {
        guest(world, "podman")
            .args(["--root", "/tmp/podman", "--runroot", "/run/podman-box"])
            .args(["--storage-driver", "vfs", "pull", "--quiet", image])
            .env("TMPDIR", "/tmp")
            .run()
    })
}

/// As Kubernetes has it: containerd fetches, and not the program that asks it to.
pub(crate) fn containerd(world: &World) -> Result<()> {
    const SOCKET: &str = "/run/containerd-box.sock";
    let daemon = guest(world, "containerd")
        .args(["--address", SOCKET, "--root", "/tmp/containerd-box"])
        .args(["--state", "/run/containerd-box"])
        .spawn("containerd")?;
    appears(world, SOCKET, &daemon)?;
    let result = pulls(world, |image| {
        let ctr = world.lab.puller("ctr").args(["--address", SOCKET]);
        let pull = ["images", "pull", "--local=false", "--snapshotter", "native"];
        ctr.args(pull).args([image]).run()
    });
    daemon.stop(Duration::from_secs(10))?;
    result
}

/// Docker in Docker: the newest engine of the lab in the container's network, with the BuildKit in it. Its own settings, its own socket.
pub(crate) fn docker(world: &World) -> Result<()> {
    let engine = world
        .lab
        .command("nsenter")
        .args(["--net=/run/netns/box", "unshare", "--mount"])
        .args(["--propagation", "private", "bash", "-c"])
        .args([include_str!("dind.sh"), "dind"])
        .env("SSL_CERT_FILE", TRUST)
        .spawn("dind")?;
    appears(world, "/run/dind/docker.sock", &engine)?;
    let docker = || inside(world, &engine).args(["docker"]);
    let result = pulls(world, |image| docker().args(["pull", image]).run())
        .and_then(|()| builds(world, || docker().env("DOCKER_BUILDKIT", "1")))
        .and_then(|()| builds(world, || docker().env("DOCKER_BUILDKIT", "0")));
    let result = result.map_err(|error| error.context(engine.log()));
    engine.stop(Duration::from_secs(15))?;
    result
}

/// By BuildKit, or by the builder before it: `FROM` and `COPY --from`.
fn builds(world: &World, docker: impl Fn() -> Command) -> Result<()> {
    let build = |dockerfile: &str| {
        let build = ["build", "--no-cache", "--pull", "--network", "none", "-"];
        docker().args(build).stdin(dockerfile).run()
    };
    let allowed = ALLOWED.map(|image| format!("FROM {image}\nRUN [\"/bin/busybox\", \"true\"]\n"));
    let denied = DENIED.map(|image| format!("FROM {image}\n"));
    let copied = DENIED.map(|image| {
        let [allowed, _] = ALLOWED;
        format!("FROM {allowed}\nCOPY --from={image} /bin/busybox /x\n")
    });
    for dockerfile in allowed {
        build(&dockerfile)?.expect_success()?;
    }
    world.begin();
    for dockerfile in denied.into_iter().chain(copied) {
        build(&dockerfile)?.expect_failure("")?;
    }
    nobody_heard(world)
}

fn pulls(world: &World, pull: impl Fn(&str) -> Result<Output>) -> Result<()> {
    world.begin();
    for image in ALLOWED {
        pull(image)?.expect_success()?;
    }
    for image in DENIED {
        pull(image)?.expect_failure("")?;
    }
    for upstream in [world.lab.ghcr(), world.lab.docker_hub()] {
        let host = upstream.host();
        ensure!(!upstream.requests().is_empty(), "nobody asked {host}");
    }
    nobody_heard(world)
}

/// Of what is denied.
fn nobody_heard(world: &World) -> Result<()> {
    for upstream in world.lab.upstreams() {
        for path in ["/v2/other/", "/v2/evil/"] {
            let reached = upstream.requests_under(path);
            ensure!(reached.is_empty(), "{path} was reached: {reached:?}");
        }
    }
    Ok(())
}

/// A client from its own root, in the container's network.
fn guest(world: &World, program: &str) -> Command {
    let command = world.inside("chroot").args(["/guest/pullers", program]);
    command.env("SSL_CERT_FILE", TRUST)
}

/// A command in the container of `engine`, as its users have it: with BuildKit they fetch tokens themselves.
fn inside(world: &World, engine: &Process) -> Command {
    let enter = world.lab.command("nsenter");
    let enter = enter.args([&format!("--target={}", engine.pid()), "--mount", "--net"]);
    enter
        .env("DOCKER_HOST", "unix:///run/dind/docker.sock")
        .env("SSL_CERT_FILE", TRUST)
}

fn appears(world: &World, socket: &str, process: &Process) -> Result<()> {
    let started = Instant::now();
    while std::os::unix::net::UnixStream::connect(world.lab.path(socket)).is_err() {
        ensure!(
            started.elapsed() < Duration::from_secs(30),
            "nobody answers at {socket}:\n{}",
            process.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
