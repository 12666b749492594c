//! What is done on each path.

use std::time::{Duration, Instant};

use anyhow::Result;
use ramgate_lab::{Builder, Command, Lab, Output};

use crate::target::Target;

pub(crate) fn build(lab: &Lab, builder: Builder, dockerfile: &str) -> Result<Output> {
    lab.build(builder, BUILT, dockerfile)
}

pub(crate) fn buildx(lab: &Lab, arguments: &[&str]) -> Command {
    let build = ["buildx", "build", "--network", "none", "--tag", BUILT];
    lab.command("docker").args(build.iter().chain(arguments))
}

pub(crate) fn from(target: Target) -> String {
    format!("FROM {}\n", target.image())
}

pub(crate) fn copy(target: Target) -> String {
    let image = target.image();
    format!("FROM alpine:3\nCOPY --from={image} /marker /copied\n")
}

pub(crate) fn add(target: Target) -> String {
    let host = target.host();
    format!("FROM alpine:3\nADD https://{host}{} /added\n", Lab::FILE)
}

/// Tags an allowed image, and pushes it.
pub(crate) fn push(lab: &Lab, target: Target) -> Result<Output> {
    let (repository, _) = target.image().rsplit_once(':').unwrap_or_default();
    let name = format!("{repository}:pushed");
    lab.docker(&["pull", "alpine:3"])?.expect_success()?;
    lab.docker(&["tag", "alpine:3", &name])?.expect_success()?;
    let pushed = lab.docker(&["push", &name])?;
    lab.docker(&["rmi", &name])?.expect_success()?;
    Ok(pushed)
}

/// Until its one task has run, or has failed.
pub(crate) fn service(lab: &Lab, target: Target) -> Result<Output> {
    let created = lab.docker(&[
        "service",
        "create",
        "--detach",
        "--name",
        "tried",
        "--network",
        "host",
        "--restart-condition",
        "none",
        target.image(),
        "true",
    ])?;
    if !created.status.success() {
        return Ok(created);
    }
    let started = Instant::now();
    let ended = loop {
        let tasks = lab.docker(&[
            "service",
            "ps",
            "--no-trunc",
            "--format",
            "{{.CurrentState}} {{.Error}}",
            "tried",
        ])?;
        if tasks.stdout.contains("Complete") || started.elapsed() > Duration::from_secs(20) {
            break tasks;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    lab.docker(&["service", "rm", "tried"])?.expect_success()?;
    ended.expect_success()
}

pub(crate) fn login(lab: &Lab, target: Target) -> Result<Output> {
    let host = target.host();
    let registry: &[&str] = if host == "docker.io" { &[] } else { &[host] };
    let login = ["login", "--username", "alice", "--password-stdin"];
    let output = lab
        .command("docker")
        .args(login.iter().chain(registry))
        .stdin("a word of alice")
        .run()?;
    lab.docker(&[&["logout"], registry].concat())?;
    Ok(output)
}

pub(crate) fn search(lab: &Lab, target: Target) -> Result<Output> {
    let term = match target.host() {
        "docker.io" => "alpine".to_owned(),
        host => format!("{host}/acme"),
    };
    lab.docker(&["search", &term])
}

/// Installs a managed plugin, and removes it again.
pub(crate) fn install(lab: &Lab, target: Target) -> Result<Output> {
    let name = target.plugin();
    let install = [
        "plugin",
        "install",
        "--disable",
        "--grant-all-permissions",
        name,
    ];
    let installed = lab.docker(&install)?;
    if installed.status.success() {
        lab.docker(&["plugin", "rm", "-f", name])?
            .expect_success()?;
    }
    Ok(installed)
}

const BUILT: &str = "acme/built:1";
