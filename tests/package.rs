//! The Debian package, on a booted Debian with Docker: it installs, upgrades and goes without a trace, and enforces nothing by itself.

mod shipped;

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions, Server};
use shipped::made;

#[test]
fn the_package_installs_upgrades_and_goes_without_a_trace() -> Result<()> {
    let options = LabOptions {
        images: false,
        ..LabOptions::default()
    };
    let lab = Lab::start(EngineKind::Docker26_1, &options)?;
    lab.remove_file(DAEMON_JSON)?;
    let first = deb(&lab, "0.1.0")?;
    let second = deb(&lab, "0.1.1")?;
    let server = lab.boot()?;
    let before = files(&server)?;
    ensure!(before.is_empty(), "{before}");
    let result = installs(&lab, &server, &first)
        .and_then(|()| upgrades(&lab, &server, &second))
        .and_then(|()| goes(&lab, &server));
    result.with_context(|| server.journal("ramgate").unwrap_or_default())
}

fn installs(lab: &Lab, server: &Server<'_>, package: &str) -> Result<()> {
    server
        .run("dpkg", &["--install", package])?
        .expect_success()?;
    for unit in ["ramgate.service", "ramgate.socket", "ramgate-nft.service"] {
        server
            .run("systemctl", &["is-enabled", unit])?
            .expect_failure("disabled")?;
        server
            .run("systemctl", &["is-active", unit])?
            .expect_failure("inactive")?;
    }
    server.run("docker", &["ps"])?.expect_success()?;
    let policy = "/etc/ramgate/policy.json";
    server
        .run("ramgate", &["policy", "validate", policy])?
        .expect_success()?;
    server
        .run("ramgate", &["check", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    // A minimal Debian leaves manuals and the like out when it unpacks.
    let contents = server
        .run("dpkg-deb", &["--contents", package])?
        .expect_success()?;
    for file in [
        "/usr/share/man/man1/ramgate-doctor.1.gz",
        "/usr/share/bash-completion/completions/ramgate",
        "/usr/share/zsh/vendor-completions/_ramgate",
        "/usr/share/fish/vendor_completions.d/ramgate.fish",
        "/usr/share/doc/ramgate/docs/install.md",
        "/usr/share/doc/ramgate/ramgate.cdx.json",
    ] {
        ensure!(
            contents.stdout.contains(file),
            "{file} is missing: {contents}"
        );
    }
    let units = ["/usr/lib/systemd/system/ramgate.service"];
    let verify = server
        .command("systemd-analyze")
        .args(["verify"])
        .args(units)
        .run()?
        .expect_success()?;
    ensure!(!verify.text().contains("ramgate"), "{verify}");

    // Put in force, by hand.
    lab.write_file(DAEMON_JSON, r#"{ "authorization-plugins": ["ramgate"] }"#)?;
    let units = ["enable", "--now", "ramgate.socket", "ramgate.service"];
    server.run("systemctl", &units)?.expect_success()?;
    server
        .run("systemctl", &["restart", "docker"])?
        .expect_success()?;
    server
        .run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    Ok(())
}

fn upgrades(lab: &Lab, server: &Server<'_>, package: &str) -> Result<()> {
    let policy = lab.read_file("/etc/ramgate/policy.json")?;
    let edited = policy.replace("\"version\": 1", "\"version\": 1, \"contact\": \"me\"");
    ensure!(edited != policy, "{policy}");
    lab.write_file("/etc/ramgate/policy.json", &edited)?;
    let process = || server.run("systemctl", &["show", "--property=MainPID", "ramgate"]);
    let before = process()?.expect_success()?.stdout;

    // While the engine is asked without a pause.
    let install = format!(
        "(dpkg --install {package}; echo $? >/tmp/upgraded) >/tmp/upgrade.log 2>&1 &
         while kill -0 $! 2>/dev/null; do docker ps --quiet 2>&1 && echo done; done; cat /tmp/upgrade.log; cat /tmp/upgraded"
    );
    let upgrade = server
        .command("sh")
        .args(["-c", &install])
        .run()?
        .expect_success()?;
    ensure!(upgrade.stdout.ends_with("\n0\n"), "{upgrade}");
    let calls = upgrade
        .stdout
        .lines()
        .filter(|line| *line == "done")
        .count();
    ensure!(calls > 0, "nothing was asked meanwhile: {upgrade}");
    ensure!(!upgrade.stdout.contains("denied by plugin"), "{upgrade}");
    ensure!(!upgrade.stdout.contains("failed with error"), "{upgrade}");

    ensure!(process()?.stdout != before, "the old ramgate runs on");
    ensure!(
        lab.read_file("/etc/ramgate/policy.json")? == edited,
        "the policy was overwritten"
    );
    server
        .run("docker", &["pull", "evil/tool"])?
        .expect_failure("contact me")?;
    Ok(())
}

fn goes(lab: &Lab, server: &Server<'_>) -> Result<()> {
    // Not while the engine needs it.
    server
        .run("dpkg", &["--purge", "ramgate"])?
        .expect_failure("the engine still asks ramgate")?;
    server.run("docker", &["ps"])?.expect_success()?;
    lab.remove_file(DAEMON_JSON)?;
    server
        .run("systemctl", &["restart", "docker"])?
        .expect_success()?;
    server
        .run("dpkg", &["--purge", "ramgate"])?
        .expect_success()?;
    server.run("docker", &["ps"])?.expect_success()?;
    let left = files(server)?;
    ensure!(left.is_empty(), "left behind:\n{left}");
    Ok(())
}

/// Every file and unit that bears ramgate's name.
fn files(server: &Server<'_>) -> Result<String> {
    let find = "find / \\( -path /proc -o -path /sys -o -path /tmp -o -path /dev -o -path /guest \\) -prune -o -name '*ramgate*' -print
                systemctl list-units --all --plain --no-legend 'ramgate*'";
    Ok(server
        .command("sh")
        .args(["-c", find])
        .run()?
        .expect_success()?
        .stdout)
}

/// Builds the package in a version, and puts it into the lab.
fn deb(lab: &Lab, version: &str) -> Result<String> {
    let variable = format!("VERSION={version}");
    let package = made("deb", &[&variable], |name| name.ends_with(".deb"))?;
    let inside = format!("/root/package-{version}.deb");
    std::fs::copy(&package, lab.path(&inside))?;
    Ok(inside)
}

const DAEMON_JSON: &str = "/etc/docker/daemon.json";
