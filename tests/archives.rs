//! What is shipped beside the Debian package: the tarball on a booted Debian, and the mirror's image in an engine, by the compose file
//! that comes with it.

mod shipped;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions, Output, Server};
use serde_json::{Value, json};
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
        "ramgate.cdx.json",
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
    let server = ramgate_lab::cache()?.join("tools/s3-image/image.tar");
    std::fs::copy(&server, lab.path("/root/lab-s3.tar")).with_context(|| {
        format!(
            "{}; `tests/support/provision-s3-image` makes it",
            server.display()
        )
    })?;
    container(&lab).with_context(|| lab.report())
}

fn container(lab: &Lab) -> Result<()> {
    lab.docker(&["load", "--input", "/root/ramgate-mirror.tar"])?
        .expect_success()?;
    lab.docker(&["load", "--input", "/root/lab-s3.tar"])?
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
    let (here, lab_s3) = (format!("{PLACE}/lab.yaml"), format!("{PLACE}/lab.s3.yaml"));
    // As they are shipped.
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

    // And with a bucket, of an S3 API server that this engine can have.
    let files = [
        shipped.as_str(),
        bucket.as_str(),
        here.as_str(),
        lab_s3.as_str(),
    ];
    compose(&files, "up --detach s3")?.expect_success()?;
    let kept = make_bucket(lab)
        .and_then(|()| compose(&files, "up --detach")?.expect_success())
        .and_then(|_| served(lab))
        .and_then(|()| is_kept_in_the_bucket(lab));
    let logs = compose(&files, "logs")?;
    kept.with_context(|| logs.to_string())?;
    // A mirror that has nothing of its own, and nobody to ask, has what is in the bucket.
    compose(&files, "rm --stop --force mirror")?.expect_success()?;
    lab.docker(&["volume", "rm", "mirror_state"])?
        .expect_success()?;
    lab.docker_hub().forget();
    compose(&files, "up --detach")?.expect_success()?;
    served(lab)?;
    let asked = lab.docker_hub().requests();
    ensure!(
        asked.is_empty(),
        "the bucket's content was fetched again: {asked:?}"
    );
    compose(&files, "down --volumes -t 5")?.expect_success()?;
    Ok(())
}

/// The bucket of settings.s3.json, once the server answers.
fn make_bucket(lab: &Lab) -> Result<()> {
    let began = Instant::now();
    loop {
        let made = lab.curl(&["--fail", "--request", "PUT", "http://127.0.0.1:8333/images"])?;
        if made.status.success() {
            return Ok(());
        }
        ensure!(
            began.elapsed() < Duration::from_secs(60),
            "no bucket: {made}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn is_kept_in_the_bucket(lab: &Lab) -> Result<()> {
    let began = Instant::now();
    loop {
        let listed = lab.curl(&[
            "--fail",
            "http://127.0.0.1:8333/images?list-type=2&prefix=cache/",
        ])?;
        if listed
            .stdout
            .contains("<Key>cache/repositories/docker.io/library/alpine/_tags/3</Key>")
        {
            return Ok(());
        }
        ensure!(
            began.elapsed() < Duration::from_secs(20),
            "nothing is in the bucket: {listed}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn container_id(lab: &Lab) -> Result<String> {
    let ids = lab.docker(&["ps", "--quiet"])?.expect_success()?;
    Ok(ids.stdout.trim().to_owned())
}

/// The shipped files, and what a lab has instead of a network of bridges and of Docker Hub.
fn lay_out(lab: &Lab) -> Result<()> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/container");
    for file in ["compose.yaml", "compose.s3.yaml", "s3.json"] {
        lab.write_file(
            &format!("{PLACE}/{file}"),
            std::fs::read(shipped.join(file))?,
        )?;
    }
    let upstreams = Lab::settings().pointer("/mirror/upstreams").cloned();
    for file in ["settings.json", "settings.s3.json"] {
        let mut settings: Value = serde_json::from_slice(&std::fs::read(shipped.join(file))?)?;
        let mirror = settings.get_mut("mirror").and_then(Value::as_object_mut);
        let mirror = mirror.context("the shipped settings have a mirror")?;
        mirror.insert(
            "upstreams".to_owned(),
            upstreams.clone().unwrap_or_default(),
        );
        lab.write_file(&format!("{PLACE}/{file}"), settings.to_string())?;
    }
    lab.write_file(&format!("{PLACE}/s3-secret"), "change-me\n")?;
    // On the host's network there is nobody to give a service its name.
    let hosts = lab.read_file("/etc/hosts")?;
    lab.write_file("/etc/hosts", format!("{hosts}127.0.0.1 s3\n"))?;
    lab.write_file(&format!("{PLACE}/lab.s3.yaml"), LAB_S3)?;
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

/// Every crate that is built into the program, and nothing that is not in the lock file.
#[test]
fn the_bill_of_materials_names_whatever_the_program_is_made_of() -> Result<()> {
    let file = made("sbom", &[], |name| name == "ramgate.cdx.json")?;
    let bill: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    ensure!(
        bill["bomFormat"] == "CycloneDX" && bill["metadata"]["component"]["name"] == "ramgate",
        "{bill}"
    );
    ensure!(
        !bill.to_string().contains(env!("CARGO_MANIFEST_DIR")),
        "it says where it was made"
    );
    let components = bill["components"].as_array().context("components")?;
    let unlicensed: Vec<_> = components
        .iter()
        .filter(|component| component["licenses"].is_null())
        .collect();
    ensure!(unlicensed.is_empty(), "{unlicensed:?}");
    let text = |component: &Value, key| component[key].as_str().unwrap_or_default().to_owned();
    let named: BTreeSet<(String, String)> = components
        .iter()
        .map(|component| (text(component, "name"), text(component, "version")))
        .collect();
    let tree = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree",
            "--locked",
            "--package=ramgate",
            "--edges=normal",
            "--prefix=none",
            "--format={p}",
        ])
        .output()?;
    let tree = String::from_utf8(tree.stdout)?;
    let built: BTreeSet<(String, String)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
            (name != "ramgate").then(|| (name.to_owned(), version.to_owned()))
        })
        .collect();
    ensure!(built.len() > 100, "{tree}");
    let missing: Vec<_> = built.difference(&named).collect();
    ensure!(missing.is_empty(), "the bill does not name {missing:?}");
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"))?;
    for (name, version) in &named {
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        ensure!(
            lock.contains(&entry),
            "{name} {version} is not in the lock file"
        );
    }
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
const LAB_S3: &str = "
services:
  s3:
    image: lab-s3:1
    network_mode: host
    command: !override [\"--host\", \"127.0.0.1\", \"--port\", \"8333\"]
    volumes: !reset []
";
