//! `ramgate install` and `ramgate uninstall` on booted Debians and beside an engine without systemd: from nothing to enforced, and
//! back without a trace, whatever fails on the way.

mod installing;
mod steps;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use installing::{DAEMON_JSON, Site, same};
use ramgate_lab::{EngineKind, Lab, LabOptions};
use serde_json::Value;
use steps::Step;

#[test]
fn an_installation_enforces_and_leaves_no_trace_on_debian_12() -> Result<()> {
    an_installation_enforces_and_leaves_no_trace(EngineKind::Docker20_10)
}

#[test]
fn an_installation_enforces_and_leaves_no_trace_on_debian_13() -> Result<()> {
    an_installation_enforces_and_leaves_no_trace(EngineKind::Docker26_1)
}

#[test]
fn an_installation_enforces_and_leaves_no_trace_on_debian_forky() -> Result<()> {
    an_installation_enforces_and_leaves_no_trace(EngineKind::Docker28_5)
}

fn an_installation_enforces_and_leaves_no_trace(kind: EngineKind) -> Result<()> {
    let lab = Lab::start(kind, &LabOptions::default())?;
    installing::lay_out(&lab)?;
    let server = lab.boot()?;
    let site = Site::of_server(&server);
    let result = site
        .run("docker", &["ps"])
        .and_then(|_| the_readme_holds(&site))
        .and_then(|()| lab.name_docker_hub())
        .and_then(|()| from_nothing_to_enforced_and_back(&lab, &site))
        .and_then(|()| the_plugin_alone_stops_no_container(&site, &[]))
        .and_then(|()| lab.name_docker_hub())
        .and_then(|()| killed_on_its_way_it_goes_on_or_back(&site))
        .and_then(|()| whatever_fails_is_put_back(&lab, &site));
    result.with_context(|| installing::journals(&server))
}

#[test]
fn an_installation_without_systemd_uses_commands_and_hosts_files() -> Result<()> {
    let lab = Lab::start(EngineKind::Docker28_5Containerd, &LabOptions::default())?;
    installing::put_program(&lab, installing::PROGRAM, installing::build()?.as_slice())?;
    installing::put_program(&lab, SERVICES, include_bytes!("installing/services.sh"))?;
    lab.name_docker_hub()?;
    lab.start_engine()?;
    let site = Site::of_lab(&lab);
    let result = by_commands(&lab, &site);
    result.with_context(|| lab.report())
}

fn by_commands(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let before = site.trace()?;
    let commands = [
        "--start-command=/root/services ramgate start",
        "--stop-command=/root/services ramgate stop",
        "--restart-command=/root/services dockerd start",
    ];
    let ramgate = |arguments: &[&str]| site.ramgate(&[arguments, &commands[..]].concat());
    site.ramgate(&["install", "--yes"])?
        .expect_failure("say how `ramgate serve` is started")?;
    let failing = [
        &["install", "--yes"],
        &commands[..2],
        &["--restart-command=false"],
    ]
    .concat();
    site.ramgate(&failing)?
        .expect_failure("`sh -c false` failed")?;
    same(&before, &site.trace()?).context("with an engine that is not restarted")?;
    site.run("docker", &["ps"])?.expect_success()?;

    ramgate(&["install", "--yes"])?.expect_success()?;
    installing::images_are_judged(lab, site)?;
    ramgate(&["install", "--yes", "--registry", "ghcr.io"])?.expect_success()?;
    lab.ghcr().forget();
    // A changed policy is in force within a second.
    site.shell("docker pull ghcr.io/acme/app:1 || { sleep 2 && docker pull ghcr.io/acme/app:1; }")?
        .expect_success()?;
    let requests = lab.ghcr().requests();
    ensure!(
        requests
            .iter()
            .all(|request| !request.user_agent.starts_with("ramgate")),
        "a registry that is reached directly was asked by the mirror: {requests:?}"
    );
    // Between the two hosts files the gates are still in force for a build.
    site.shell(
        "printf 'FROM ghcr.io/acme/app:1\\nRUN true\\n' | docker buildx build --network none -",
    )?
    .expect_success()?;
    let again = ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(again.stdout.contains("there is nothing to do"), "{again}");

    ramgate(&["uninstall", "--yes", "--purge"])?.expect_success()?;
    installing::docker_is_as_it_was(lab, site)?;
    same(&before, &site.trace()?).context("an uninstallation leaves what was before")?;
    the_plugin_alone_stops_no_container(site, &commands)
}

/// Where a reload is enough there is no restart, neither on the way in nor on the way out.
fn the_plugin_alone_stops_no_container(site: &Site<'_>, commands: &[&str]) -> Result<()> {
    let before = site.trace()?;
    site.run("docker", &["pull", "alpine:3"])?
        .expect_success()?;
    let run = "docker run --detach --network none --name stays alpine:3 sleep 600";
    site.shell(run)?.expect_success()?;
    let started = [
        "inspect",
        "--format={{.State.StartedAt}} {{.State.Running}}",
        "stays",
    ];
    let since = site.run("docker", &started)?.expect_success()?.stdout;

    let standard = site.ramgate(&[&["install", "--dry-run"], commands].concat())?;
    ensure!(
        standard
            .stdout
            .contains("1 running container stops with it"),
        "{standard}"
    );
    let plugin = [&["install", "--yes", "--level=plugin", "--adopt"], commands].concat();
    let installed = site.ramgate(&plugin)?.expect_success()?;
    ensure!(installed.text().contains("adopted images: "), "{installed}");
    site.run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    site.run("docker", &["run", "--rm", "alpine:3", "true"])?
        .expect_success()?;
    let now = site.run("docker", &started)?.expect_success()?.stdout;
    ensure!(now == since && now.contains("true"), "{since} {now}");

    let away = [&["uninstall", "--yes", "--purge"], commands].concat();
    site.ramgate(&away)?.expect_success()?;
    let now = site.run("docker", &started)?.expect_success()?.stdout;
    ensure!(now == since && now.contains("true"), "{since} {now}");
    site.run("docker", &["rm", "--force", "stays"])?
        .expect_success()?;
    same(&before, &site.trace()?).context("the plugin alone leaves what was before")
}

/// As a new user would, who reads what is shown and agrees.
fn the_readme_holds(site: &Site<'_>) -> Result<()> {
    let (install, undo) = Step::of_section(include_str!("../README.md"), "On your server")?;
    let before = site.trace()?;
    let (mut commands, started) = (0, Instant::now());
    for step in install.iter().chain(&undo) {
        let lines = match step {
            Step::Commands(lines) => lines,
            Step::DaemonJson(json) => bail!("nothing is edited by hand any more: {json}"),
        };
        // What it builds is there already.
        for line in lines.iter().filter(|line| *line != "make build") {
            commands += 1;
            let output = if line.contains("ramgate") {
                // No other registries, where that is asked; and yes.
                let answers = if line.contains("uninstall") {
                    "y\n"
                } else {
                    "\ny\n"
                };
                site.on_a_terminal(&format!("cd {} && {line}", installing::CHECKOUT), answers)?
            } else {
                site.shell(line)?
            };
            if line.contains("# denied") {
                let words = line.split_once("denied: ").map_or("", |(_, words)| words);
                output.expect_failure(words)?;
            } else {
                output.expect_success()?;
            }
        }
    }
    ensure!(commands == 5, "{commands} commands");
    let took = started.elapsed();
    ensure!(took < MINUTE, "there and back took {took:?}");
    ensure!(!site.exists("/etc/ramgate")?, "purged, settings are left");
    same(&before, &site.trace()?).context("purged, nothing is left")
}

/// Whenever it is killed, the engine works, and the next one goes on or back.
fn killed_on_its_way_it_goes_on_or_back(site: &Site<'_>) -> Result<()> {
    let before = site.trace()?;
    let mut kills = 0;
    for (index, seconds) in ["0.15", "0.4", "0.9", "1.5", "3"].iter().enumerate() {
        let killed = format!(
            "timeout --signal=KILL {seconds} {} install --yes",
            installing::PROGRAM
        );
        let killed = site.shell(&killed)?;
        // A machine that is fast may be done by then.
        kills += u32::from(!killed.status.success());
        site.eventually("docker", &["ps"])?;
        if index % 2 == 0 {
            site.ramgate(&["install", "--yes"])?.expect_success()?;
            site.run("docker", &["pull", "evil/tool"])?
                .expect_failure("community images not allowed")?;
        }
        // Killed early enough, it has not begun.
        if site.exists("/var/lib/ramgate/install/journal.json")? {
            site.ramgate(&["uninstall", "--yes", "--purge"])?
                .expect_success()?;
        }
        site.run("rm", &["-rf", "/var/lib/ramgate"])?
            .expect_success()?;
        site.run("docker", &["ps"])?.expect_success()?;
        same(&before, &site.trace()?).with_context(|| format!("killed after {seconds} s"))?;
    }
    ensure!(kills >= 2, "killed {kills} times");
    Ok(())
}

fn from_nothing_to_enforced_and_back(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let before = site.trace()?;
    let shown = site.ramgate(&["install", "--dry-run"])?.expect_success()?;
    for expected in [
        "+\t\"authorization-plugins\": [\"ramgate\"]",
        "+\t\"registry-mirrors\": [\"http://127.0.0.1:5050\"]",
        "restart the engine",
    ] {
        ensure!(shown.stdout.contains(expected), "{shown}");
    }
    same(&before, &site.trace()?).context("a dry run changes nothing")?;
    site.ramgate(&["install"])?
        .expect_failure("nothing was changed; `--yes` does it without asking")?;
    same(&before, &site.trace()?).context("nobody agreed")?;

    let installed = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(
        installed.text().contains("a canary was refused"),
        "{installed}"
    );
    installing::images_are_judged(lab, site)?;
    let again = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(again.stdout.contains("there is nothing to do"), "{again}");

    an_upgrade_costs_no_call(lab, site)?;
    site.ramgate(&["install", "--yes", "--registry", "ghcr.io"])?
        .expect_success()?;
    // A changed policy is in force within a second.
    site.shell("docker pull ghcr.io/acme/app:1 || { sleep 2 && docker pull ghcr.io/acme/app:1; }")?
        .expect_success()?;

    site.ramgate(&["uninstall", "--yes"])?.expect_success()?;
    ensure!(
        lab.read_file("/var/lib/ramgate/ledger.redb").is_err()
            || site.exists("/var/lib/ramgate")?,
        "what was learned stays"
    );
    installing::docker_is_as_it_was(lab, site)?;
    site.run("rm", &["-r", "/var/lib/ramgate", "/var/log/ramgate"])?
        .expect_success()?;
    same(&before, &site.trace()?).context("an uninstallation leaves what was before")
}

/// Another build of ramgate takes the place of the one that runs, while calls go on without a pause.
fn an_upgrade_costs_no_call(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let mut build = std::fs::read(env!("CARGO_BIN_EXE_ramgate"))?;
    build.extend_from_slice(b"another build");
    installing::put_program(lab, "/root/upgrade/ramgate", &build)?;
    let told = site
        .shell(
            "(sleep 0.5; /root/upgrade/ramgate install --yes && sleep 0.5) &
             while kill -0 $! 2>/dev/null; do docker ps --quiet 2>&1 && echo done; done
             wait $!",
        )?
        .expect_success()?;
    let done = told.stdout.lines().filter(|line| *line == "done").count();
    let refused = told.stdout.contains("authorization denied") || told.stdout.contains("Error");
    ensure!(done >= 10 && !refused, "{told}");
    ensure!(
        told.text().contains("restart the gates") && !told.text().contains("restart the engine"),
        "{told}"
    );
    let installed = std::fs::read(lab.path("/usr/local/bin/ramgate"))?;
    ensure!(installed == build, "the new build is not in place");
    Ok(())
}

/// Each file's place is taken by a directory that keeps it from being written; a port that the gates need, by another; and the
/// engine is kept from starting with what it would be given.
fn whatever_fails_is_put_back(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let plan = site
        .ramgate(&["install", "--dry-run", "--json"])?
        .expect_success()?;
    let plan: Value = serde_json::from_str(&plan.stdout)?;
    let steps = plan.get("steps").and_then(Value::as_array);
    let steps = steps.context("no steps")?;
    ensure!(steps.len() >= 6, "{plan:#}");
    for step in steps {
        let path = step.get("path").and_then(Value::as_str);
        let path = path.context("no path")?;
        let (folder, name) = path.rsplit_once('/').context("no folder")?;
        let obstacle = format!("{folder}/.{name}.ramgate-new");
        if !site.exists(folder)? {
            continue; // what would be in the way would be there before
        }
        site.run("mkdir", &[&obstacle])?.expect_success()?;
        let result = it_is_put_back(site, &[]);
        site.run("rmdir", &[&obstacle])?.expect_success()?;
        result.with_context(|| format!("with {obstacle} in the way"))?;
    }

    a_full_or_read_only_disk_is_put_back(site)?;

    let squat = "--unit=squatter systemd-socket-activate --listen=127.0.0.1:5050 cat";
    site.shell(&format!("systemd-run --quiet {squat}"))?
        .expect_success()?;
    let result = it_is_put_back(site, &["--patience=5"]);
    site.run("systemctl", &["stop", "squatter"])?
        .expect_success()?;
    result.context("with the mirror's port taken")?;

    let check = "/etc/systemd/system/docker.service.d/check.conf";
    lab.write_file(
        check,
        "[Service]\nExecStartPre=/bin/sh -c '! grep -q ramgate /etc/docker/daemon.json'\n",
    )?;
    site.run("systemctl", &["daemon-reload"])?
        .expect_success()?;
    it_is_put_back(site, &["--patience=20"]).context("with an engine that does not start")?;
    lab.remove_file(check)?;

    let options = lab.read_file("/etc/default/docker").unwrap_or_default();
    lab.write_file(
        "/etc/default/docker",
        format!("{options}\nDOCKER_OPTS=\"--registry-mirror=https://mirror.example\"\n"),
    )?;
    site.ramgate(&["install", "--yes"])?
        .expect_failure("dockerd is started with `--registry-mirror=https://mirror.example`")?;
    lab.write_file("/etc/default/docker", options)?;
    lab.write_file(DAEMON_JSON, "{ \"debug\": false } // mine\n")?;
    site.ramgate(&["install", "--yes"])?
        .expect_failure("line 1: there is a comment")?;
    Ok(())
}

fn a_full_or_read_only_disk_is_put_back(site: &Site<'_>) -> Result<()> {
    for (what, mount, directory) in [
        ("no space", "tmpfs tmpfs -o size=64k", "/etc/docker"),
        (
            "no leave to write",
            "none /etc/docker -o bind,ro",
            "/etc/docker",
        ),
        (
            "no space for the journal",
            "tmpfs tmpfs -o size=64k",
            "/var/lib/ramgate",
        ),
    ] {
        // With what was there before.
        site.shell(&format!(
            "mkdir -p {directory} && cp -a {directory} /tmp/copy && mount -t {mount} {directory} && (cp -a /tmp/copy/. {directory}; head -c 1M /dev/zero >{directory}/filler; true)"
        ))?
        .expect_success()?;
        let result = it_is_put_back(site, &[]);
        site.shell(&format!(
            "umount {directory} && rm -r /tmp/copy && rmdir --ignore-fail-on-non-empty {directory}"
        ))?
        .expect_success()?;
        result.with_context(|| format!("with {what} in {directory}"))?;
    }
    Ok(())
}

fn it_is_put_back(site: &Site<'_>, more: &[&str]) -> Result<()> {
    let before = site.trace()?;
    let arguments = [&["install", "--yes"], more].concat();
    site.ramgate(&arguments)?
        .expect_failure("everything is as it was before")?;
    same(&before, &site.trace()?)?;
    site.run("docker", &["ps"])?.expect_success()?;
    site.run("systemctl", &["is-active", "ramgate.service"])?
        .expect_failure("inactive")?;
    Ok(())
}

const MINUTE: Duration = Duration::from_secs(60);
const SERVICES: &str = "/root/services";
