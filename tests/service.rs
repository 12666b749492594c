//! On a server: the steps by hand, as `docs/install.md` has them, on a booted Debian with its own Docker, and what the units promise.

mod steps;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions, Output, Server};
use serde_json::{Value, json};
use steps::Step;

#[test]
fn the_steps_by_hand_hold_on_debian_12() -> Result<()> {
    the_steps_by_hand_hold(EngineKind::Docker20_10)
}

#[test]
fn the_steps_by_hand_hold_on_debian_13() -> Result<()> {
    the_steps_by_hand_hold(EngineKind::Docker26_1)
}

fn the_steps_by_hand_hold(kind: EngineKind) -> Result<()> {
    let lab = Lab::start(kind, &LabOptions::default())?;
    lay_out(&lab)?;
    let (install, undo) = Step::of_section(INSTRUCTIONS, "By hand")?;
    ensure!(
        install.len() == 5 && undo.len() == 1,
        "{install:?} {undo:?}"
    );

    let server = lab.boot()?;
    let result = install
        .iter()
        .try_for_each(|step| follow(step, &lab, &server))
        .and_then(|()| images_are_judged(&lab, &server))
        .and_then(|()| the_journal_has_decisions_by_their_id(&lab, &server))
        .and_then(|()| the_units_are_sound(&server))
        .and_then(|()| a_restart_costs_no_call(&server))
        .and_then(|()| one_that_hangs_is_started_anew(&lab, &server))
        .and_then(|()| a_broken_policy_is_waited_for(&lab, &server))
        .and_then(|()| stopped_it_fails_closed(&server));
    result.with_context(|| journals(&server))?;
    drop(server);

    let server = lab.boot().context("after a reboot")?;
    let result = images_are_judged(&lab, &server).and_then(|()| {
        // This time ramgate's socket made it, before the engine: what is in it is root's to see, as ever.
        let mode = server.run("stat", &["--format=%a", "/run/docker"])?;
        ensure!(mode.stdout == "700\n", "{mode}");
        lab.write_file(DAEMON_JSON, "{}")?;
        undo.iter()
            .try_for_each(|step| follow(step, &lab, &server))?;
        docker_is_as_it_was(&lab, &server)
    });
    result.with_context(|| journals(&server))
}

/// A checkout with a finished build, and an engine that was never configured.
fn lay_out(lab: &Lab) -> Result<()> {
    let built = std::fs::read(env!("CARGO_BIN_EXE_ramgate"))?;
    lab.write_file(&format!("{CHECKOUT}/target/release/ramgate"), built)?;
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    for file in [
        "ramgate.service",
        "ramgate.socket",
        "docker.service.d/ramgate.conf",
    ] {
        let content = std::fs::read(packaging.join(file))?;
        lab.write_file(&format!("{CHECKOUT}/packaging/{file}"), content)?;
    }
    lab.name_docker_hub()?;
    lab.remove_file(DAEMON_JSON)
}

fn images_are_judged(lab: &Lab, server: &Server<'_>) -> Result<()> {
    let docker = |arguments: &[&str]| server.run("docker", arguments);
    lab.upstreams()
        .iter()
        .for_each(|upstream| upstream.forget());
    docker(&["pull", "alpine:3"])?.expect_success()?;
    let requests = lab.docker_hub().requests();
    ensure!(
        requests
            .iter()
            .all(|request| request.user_agent.starts_with("ramgate")),
        "the engine went to Docker Hub itself: {requests:?}"
    );
    docker(&["run", "--rm", "alpine:3", "true"])?.expect_success()?;
    docker(&["pull", "evil/tool"])?.expect_failure("community images not allowed")?;
    docker(&["pull", "ghcr.io/acme/app:1"])?.expect_failure(
        "Access to ghcr.io has been restricted by your administrators. To access this registry",
    )?;

    // The engine gate asks the engine, from within its unit, whether the other gates are in force.
    let build = |dockerfile: &str| {
        server
            .command("docker")
            .args(["build", "--tag", "built", "-"])
            .env("DOCKER_BUILDKIT", "0")
            .stdin(dockerfile)
            .run()
    };
    build("FROM alpine:3\nRUN echo built\n")?.expect_success()?;
    build("FROM alpine:3\nADD https://denied.example/hello.txt /\n")?
        .expect_failure("Access to denied.example has been restricted")?;
    for host in [lab.ghcr(), lab.denied_host()] {
        ensure!(host.connections() == 0, "{} was reached", host.host());
    }
    Ok(())
}

/// By itself the refusals, as all that is logged; every decision where the settings say so, and none of them twice.
fn the_journal_has_decisions_by_their_id(lab: &Lab, server: &Server<'_>) -> Result<()> {
    let refused = server.run("docker", &["pull", "evil/tool"])?;
    let refused = refused.expect_failure("community images not allowed")?;
    let text = refused.text();
    let id = text.rsplit_once("(id ").and_then(|(_, rest)| rest.get(..8));
    let id = format!(
        "RAMGATE_DECISION_ID={}",
        id.context("the refusal has no ID")?
    );
    let entries = eventually(server, &[&id])?;
    let [entry] = &entries[..] else {
        bail!("one refusal is {} entries: {entries:?}", entries.len());
    };
    for (field, value) in [
        ("RAMGATE_DECISION", "deny"),
        ("RAMGATE_REPOSITORY", "evil/tool"),
        ("RAMGATE_REASON", "category-not-allowed"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "ramgate"),
        ("_SYSTEMD_UNIT", "ramgate.service"),
    ] {
        ensure!(
            entry[field] == value,
            "{field} is {}, not {value}",
            entry[field]
        );
    }
    ensure!(
        entries_of(server, &["RAMGATE_DECISION=allow"])?.is_empty(),
        "allowances are told unasked"
    );

    let before = lab.read_file(SETTINGS)?;
    let mut settings: Value = serde_json::from_str(&before)?;
    let keys = settings.as_object_mut().context("settings")?;
    keys.insert("audit".to_owned(), json!({ "journal": true }));
    lab.write_file(SETTINGS, settings.to_string())?;
    shell(server, "systemctl restart ramgate")?.expect_success()?;
    server
        .run("docker", &["pull", "alpine:3"])?
        .expect_success()?;
    eventually(
        server,
        &[
            "RAMGATE_DECISION=allow",
            "RAMGATE_REPOSITORY=library/alpine",
        ],
    )?;
    server
        .run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    let told = eventually(server, &["RAMGATE_DECISION=deny"])?;
    let ids: Vec<&str> = told
        .iter()
        .filter_map(|entry| entry["RAMGATE_DECISION_ID"].as_str())
        .collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    ensure!(
        ids.len() == distinct.len(),
        "a decision is told twice: {ids:?}"
    );
    lab.write_file(SETTINGS, before)?;
    shell(server, "systemctl restart ramgate")?.expect_success()?;
    Ok(())
}

/// The journal's entries that have these fields, as soon as there are any.
fn eventually(server: &Server<'_>, fields: &[&str]) -> Result<Vec<Value>> {
    for _ in 0..50 {
        let entries = entries_of(server, fields)?;
        if !entries.is_empty() {
            return Ok(entries);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    bail!("the journal has nothing with {fields:?}")
}

fn entries_of(server: &Server<'_>, fields: &[&str]) -> Result<Vec<Value>> {
    let read = server
        .command("journalctl")
        .args(["--output=json", "--no-pager", "--unit=ramgate"])
        .args(fields)
        .run()?;
    let lines = read.stdout.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

fn the_units_are_sound(server: &Server<'_>) -> Result<()> {
    let units = ["ramgate.service", "ramgate.socket"].map(|unit| format!("{UNITS}/{unit}"));
    let verify = server
        .command("systemd-analyze")
        .args(["verify"])
        .args(units)
        .run()?
        .expect_success()?;
    // What it says of other units, as of Debian's own, is not ours.
    ensure!(!verify.text().contains("ramgate"), "{verify}");
    // 1.5 of 10.
    server
        .run(
            "systemd-analyze",
            &["security", "--no-pager", "--threshold=15", "ramgate"],
        )?
        .expect_success()?;
    let audit = server.run("stat", &["--format=%a", "/var/log/ramgate/audit.jsonl"])?;
    ensure!(audit.stdout == "600\n", "{audit}");
    Ok(())
}

/// More restarts than systemd lets pass in its default of ten seconds, and a kill. Calls wait for the next ramgate at the socket.
fn a_restart_costs_no_call(server: &Server<'_>) -> Result<()> {
    let told = shell(
        server,
        "(for restart in 1 2 3 4 5 6 7; do systemctl restart ramgate || exit; sleep 0.3; done
          systemctl kill --signal=KILL ramgate; sleep 2) &
         while kill -0 $! 2>/dev/null; do docker ps --quiet 2>&1 && echo done; done
         wait $!",
    )?
    .expect_success()?;
    let (done, refused): (Vec<&str>, Vec<&str>) =
        told.stdout.lines().partition(|line| *line == "done");
    let under_way = "authorization denied by plugin ramgate: the request cannot be judged";
    ensure!(
        refused.iter().all(|line| line.contains(under_way)),
        "{told}"
    );
    // Killed, it answers nothing any more: dockerd sends that call again, without its body.
    ensure!(done.len() >= 20 && refused.len() <= 1, "{told}");
    Ok(())
}

/// The engine waits for a plugin that does not answer, without an end of its own.
fn one_that_hangs_is_started_anew(lab: &Lab, server: &Server<'_>) -> Result<()> {
    let sooner = format!("{UNITS}/ramgate.service.d/sooner.conf");
    lab.write_file(&sooner, "[Service]\nWatchdogSec=2s\n")?;
    shell(
        server,
        "systemctl daemon-reload && systemctl restart ramgate && sleep 5 && systemctl is-active ramgate
         systemctl kill --kill-whom=main --signal=STOP ramgate
         timeout 20 docker ps",
    )?
    .expect_success()?;
    let restarts = server.run(
        "systemctl",
        &["show", "--property=NRestarts", "--value", "ramgate"],
    )?;
    ensure!(
        restarts.stdout.trim() == "1",
        "once, and not while it answered: {restarts}"
    );
    lab.remove_file(&sooner)?;
    shell(
        server,
        "systemctl daemon-reload && systemctl restart ramgate",
    )?
    .expect_success()?;
    Ok(())
}

fn a_broken_policy_is_waited_for(lab: &Lab, server: &Server<'_>) -> Result<()> {
    let policy = lab.read_file(POLICY)?;
    // While it runs, the last good one stays. Started anew, there is none.
    lab.write_file(POLICY, "{ \"version\": 2 }")?;
    server
        .run("systemctl", &["reload", "ramgate"])?
        .expect_success()?;
    server.run("docker", &["ps"])?.expect_success()?;
    server
        .run("systemctl", &["restart", "ramgate"])?
        .expect_failure("ramgate.service")?;
    // Longer than systemd would try by default.
    std::thread::sleep(std::time::Duration::from_secs(7));
    lab.write_file(POLICY, policy)?;
    server.run("docker", &["ps"])?.expect_success()?;
    ensure!(
        server.journal("ramgate")?.contains("version"),
        "the journal does not say what is wrong"
    );
    Ok(())
}

/// Stopped for good, that is, with its socket: every request is refused, and what runs goes on running.
fn stopped_it_fails_closed(server: &Server<'_>) -> Result<()> {
    let run = [
        "run",
        "--detach",
        "--name=stays",
        "alpine:3",
        "sleep",
        "600",
    ];
    server.run("docker", &run)?.expect_success()?;
    server
        .run("systemctl", &["stop", "ramgate.socket", "ramgate.service"])?
        .expect_success()?;
    // dockerd tries for some fifteen seconds. The command line would ask three times: twice which version to speak.
    server
        .command("docker")
        .args(["ps"])
        .env("DOCKER_API_VERSION", "1.41")
        .run()?
        .expect_failure("plugin ramgate failed with error")?;
    server
        .run("pgrep", &["-x", "-f", "sleep 600"])?
        .expect_success()?;
    server
        .run("systemctl", &["start", "ramgate.socket", "ramgate.service"])?
        .expect_success()?;
    server
        .run("docker", &["rm", "-f", "stays"])?
        .expect_success()?;
    Ok(())
}

fn docker_is_as_it_was(lab: &Lab, server: &Server<'_>) -> Result<()> {
    let ramgate = server.run(
        "systemctl",
        &["is-active", "ramgate.socket", "ramgate.service"],
    )?;
    ensure!(ramgate.stdout == "inactive\ninactive\n", "{ramgate}");
    server
        .run("systemctl", &["is-active", "docker"])?
        .expect_success()?;
    server
        .run("docker", &["pull", "ghcr.io/other/thing:1"])?
        .expect_success()?;
    ensure!(lab.ghcr().connections() > 0, "ghcr.io was not asked");
    let info = server.run("docker", &["info"])?.expect_success()?;
    for trace in ["ramgate", "127.0.0.1:50"] {
        ensure!(!info.text().contains(trace), "{info}");
    }
    Ok(())
}

fn shell(server: &Server<'_>, script: &str) -> Result<Output> {
    server.command("bash").args(["-c", script]).run()
}

fn journals(server: &Server<'_>) -> String {
    ["ramgate", "docker"]
        .map(|unit| {
            let journal = server.journal(unit).unwrap_or_default();
            let lines: Vec<&str> = journal.lines().collect();
            let skipped = lines.len().saturating_sub(30);
            let last: Vec<&str> = lines.into_iter().skip(skipped).collect();
            format!("---- {unit}\n{}\n", last.join("\n"))
        })
        .concat()
}

fn follow(step: &Step, lab: &Lab, server: &Server<'_>) -> Result<()> {
    match step {
        Step::DaemonJson(json) => lab.write_file(DAEMON_JSON, json),
        // What it builds is there already.
        Step::Commands(lines) => lines
            .iter()
            .filter(|line| *line != "make build")
            .try_for_each(|line| {
                let output = shell(server, &format!("cd {CHECKOUT} && {line}"))?;
                if line.contains("# denied") {
                    ensure!(output.status.code() == Some(2), "{output}");
                } else {
                    output.expect_success()?;
                }
                Ok(())
            }),
    }
}

const INSTRUCTIONS: &str = include_str!("../docs/install.md");
const CHECKOUT: &str = "/root/ramgate";
const UNITS: &str = "/etc/systemd/system";
const DAEMON_JSON: &str = "/etc/docker/daemon.json";
const POLICY: &str = "/etc/ramgate/policy.json";
const SETTINGS: &str = "/etc/ramgate/settings.json";
