//! What is shipped beside the Debian package: the tarball on a booted Debian, and the mirror's image in an engine, by the compose file
//! that comes with it.

mod shipped;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions, Output, Server};
use serde_json::json;
use shipped::made;

#[test]
fn the_tarball_is_unpacked_installs_and_goes() -> Result<()> {
    let lab = Lab::start(EngineKind::Docker26_1, &LabOptions::default())?;
    lab.name_docker_hub()?;
    let archive = made("tarball", &[], |name| name.ends_with("-linux-gnu.tar.gz"))?;
    std::fs::copy(archive, lab.path("/root/ramgate.tar.gz"))?;
    let server = lab.boot()?;
    tarball(&server).with_context(|| server.journal("ramgate").unwrap_or_default())
}

fn tarball(server: &Server<'_>) -> Result<()> {
    let shell = |line: &str| -> Result<Output> {
        server
            .command("bash")
            .args(["-c", &format!("cd /root && {line}")])
            .run()
    };
    shell("tar -xf ramgate.tar.gz && ls -R ramgate")?.expect_success()?;
    for file in [
        "README.md",
        "LICENSE",
        "policy.json",
        "man/ramgate-doctor.1.gz",
        "completions/ramgate",
        "docs/install.md",
        "examples/policy.json",
        "packaging/ramgate.service",
    ] {
        shell(&format!("test -s ramgate/{file}"))?
            .expect_success()
            .with_context(|| format!("{file} is not in the tarball"))?;
    }
    shell("ramgate/ramgate policy validate ramgate/policy.json")?.expect_success()?;
    shell("ramgate/ramgate check evil/tool --policy ramgate/policy.json --offline")?
        .expect_failure("community images not allowed")?;
    shell("docker ps")?.expect_success()?;
    shell("ramgate/ramgate install --level plugin --yes")?.expect_success()?;
    shell("docker pull evil/tool")?.expect_failure("community images not allowed")?;
    shell("docker pull alpine:3")?.expect_success()?;
    shell("ramgate uninstall --purge --yes")?.expect_success()?;
    shell("docker pull evil/tool")?.expect_success()?;
    Ok(())
}

#[test]
fn the_mirrors_image_serves_under_its_compose_file() -> Result<()> {
    let lab = Lab::start(EngineKind::Docker28_5, &LabOptions::default())?;
    lab.start_engine()?;
    let archive = made("container", &[], |name| name == "ramgate-mirror.tar")?;
    std::fs::copy(archive, lab.path("/root/ramgate-mirror.tar"))?;
    container(&lab).with_context(|| lab.report())
}

fn container(lab: &Lab) -> Result<()> {
    lab.docker(&["load", "--input", "/root/ramgate-mirror.tar"])?
        .expect_success()?;
    lay_out(lab)?;
    let compose = |files: &[&str], line: &str| {
        let files = files.iter().flat_map(|file| ["-f", *file]);
        let words: Vec<&str> = ["compose", "--project-directory", PLACE]
            .into_iter()
            .chain(files)
            .chain(line.split(' '))
            .collect();
        lab.docker(&words)
    };
    let shipped = format!("{PLACE}/compose.yaml");
    let bucket = format!("{PLACE}/compose.s3.yaml");
    let here = format!("{PLACE}/lab.yaml");
    // As they are shipped; the second needs another image, and is read but not run.
    compose(&[shipped.as_str()], "config --quiet")?.expect_success()?;
    let both = compose(&[shipped.as_str(), bucket.as_str()], "config")?.expect_success()?;
    ensure!(both.stdout.contains("settings.s3.json"), "{both}");

    let files = [shipped.as_str(), here.as_str()];
    compose(&files, "up --detach")?.expect_success()?;
    let asked = served(lab);
    let logs = compose(&files, "logs")?;
    asked.with_context(|| logs.to_string())?;
    // What it keeps outlives it.
    compose(&files, "up --detach --force-recreate")?.expect_success()?;
    served(lab)?;
    let user = lab
        .docker(&["top", &container_id(lab)?, "-o", "pid,uid"])?
        .expect_success()?;
    ensure!(user.stdout.contains("65532"), "{user}");
    compose(&files, "down --volumes -t 5")?.expect_success()?;
    Ok(())
}

fn container_id(lab: &Lab) -> Result<String> {
    let ids = lab.docker(&["ps", "--quiet"])?.expect_success()?;
    Ok(ids.stdout.trim().to_owned())
}

/// The shipped files, and what a lab has instead of a network of bridges and of Docker Hub.
fn lay_out(lab: &Lab) -> Result<()> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/container");
    for file in [
        "compose.yaml",
        "compose.s3.yaml",
        "settings.s3.json",
        "s3.json",
    ] {
        lab.write_file(
            &format!("{PLACE}/{file}"),
            std::fs::read(shipped.join(file))?,
        )?;
    }
    let mut settings: serde_json::Value =
        serde_json::from_slice(&std::fs::read(shipped.join("settings.json"))?)?;
    let upstreams = Lab::settings().pointer("/mirror/upstreams").cloned();
    let mirror = settings
        .get_mut("mirror")
        .and_then(serde_json::Value::as_object_mut);
    let mirror = mirror.context("the shipped settings have a mirror")?;
    mirror.insert("upstreams".to_owned(), upstreams.unwrap_or_default());
    lab.write_file(&format!("{PLACE}/settings.json"), settings.to_string())?;
    let policy = json!({
        "version": 1,
        "registries": [{ "host": "docker.io" }],
        "docker-hub": { "official": "allow" },
    });
    lab.write_file(&format!("{PLACE}/policy.json"), policy.to_string())?;
    lab.write_file(&format!("{PLACE}/lab.yaml"), LAB)
}

/// That the mirror serves what the policy allows, and nothing else.
fn served(lab: &Lab) -> Result<()> {
    let began = Instant::now();
    let ask = |repository: &str| {
        let url = format!("http://127.0.0.1:5050/v2/{repository}/manifests/3");
        lab.curl(&["--silent", "--write-out", "\n%{http_code}", &url])
    };
    loop {
        let answer = ask("library/alpine")?;
        if answer.stdout.ends_with("\n200") {
            ensure!(answer.stdout.contains("\"schemaVersion\""), "{answer}");
            break;
        }
        if began.elapsed() > Duration::from_secs(20) {
            bail!("the mirror does not serve: {answer}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let denied = ask("evil/tool")?;
    ensure!(
        denied.stdout.contains("community images not allowed") && denied.stdout.ends_with("\n403"),
        "{denied}"
    );
    Ok(())
}

const PLACE: &str = "/srv/mirror";
const LAB: &str = "
services:
  mirror:
    network_mode: host
    ports: !reset []
    volumes: [\"/etc/lab/ca.pem:/etc/lab/ca.pem:ro\"]
";
