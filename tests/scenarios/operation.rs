//! ramgate itself: gone, back, and with a policy that is broken.

use anyhow::{Context as _, Result, bail, ensure};
use ramgate_lab::Lab;
use serde_json::{Value, json};

use super::place::{COMMUNITY, Place};

pub(super) fn fails_closed(place: &Place) -> Result<()> {
    place.lab.stop_ramgate()?;
    let refused = place.docker(&["ps"]);
    place.lab.start_ramgate()?;
    // dockerd itself tries again for some fifteen seconds before it gives up.
    refused?.expect_failure("plugin ramgate failed with error")?;
    place.docker(&["ps"])?.expect_success()?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    Ok(())
}

pub(super) fn broken_policy(place: &Place) -> Result<()> {
    let before = place.count("policy not taken");
    place.lab.write_file(
        "/etc/ramgate/policy.json",
        "{ \"version\": 1, \"registrys\": [] }",
    )?;
    place.wait_for("policy not taken", before)?;
    let log = place.lab.ramgate_log();
    if !log.contains("registrys: unknown key") {
        bail!("the log does not say why: {log}");
    }
    place
        .docker(&["pull", "evil/tool"])?
        .expect_failure(COMMUNITY)?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;

    // And the audit log has a line for each of the two.
    let audit = place.lab.read_file("/var/log/ramgate/audit.jsonl")?;
    let lines: Vec<Value> = audit
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("the audit log is JSON")?;
    for (repository, decision) in [("evil/tool", "deny"), ("library/alpine", "allow")] {
        let found = lines.iter().any(|line| {
            line["repository"] == repository
                && line["decision"] == decision
                && line["gate"] == "plugin"
        });
        ensure!(
            found,
            "no line of the audit log says {decision} of {repository}"
        );
    }
    Ok(())
}

pub(super) fn status_and_audit(place: &Place) -> Result<()> {
    let ramgate = |arguments: &[&str]| place.lab.run("/usr/local/bin/ramgate", arguments);
    let status = ramgate(&["status", "--json"])?.expect_success()?;
    let status: Value = serde_json::from_str(&status.stdout)?;
    ensure!(
        says(&status, "/well", &json!(true))
            && says(&status, "/plugin/name", &json!("ramgate"))
            && says(&status, "/running/enforces", &json!(true)),
        "{status}"
    );

    // What a user reads leads to the line.
    let refused = place
        .docker(&["pull", "evil/tool"])?
        .expect_failure(COMMUNITY)?;
    let text = refused.text();
    let id = text.rsplit_once("(id ").and_then(|(_, rest)| rest.get(..8));
    let id = id.with_context(|| format!("the refusal has no ID: {text}"))?;
    let why = ramgate(&["audit", "why", id])?.expect_success()?;
    ensure!(
        why.stdout.contains("evil/tool") && why.stdout.contains("category-not-allowed"),
        "{why}"
    );
    ensure!(
        why.stdout.contains("what to do: use an official image"),
        "{why}"
    );
    let tail = ramgate(&["audit", "tail", "--denied", "-n", "1"])?.expect_success()?;
    ensure!(tail.stdout.contains(id), "{tail}");
    ramgate(&["audit", "why", "00000000"])?.expect_failure("no decision with the ID")?;

    // A policy that is not taken shows, and so does a ramgate that is not there.
    let before = place.count("policy not taken");
    place
        .lab
        .write_file("/etc/ramgate/policy.json", "{ \"version\": 2 }")?;
    place.wait_for("policy not taken", before)?;
    ramgate(&["status"])?.expect_failure("NOT TAKEN")?;
    place.policy(&Lab::policy())?;
    ramgate(&["status"])?.expect_success()?;
    place.lab.stop_ramgate()?;
    let stopped = ramgate(&["status", "--json"]);
    place.lab.start_ramgate()?;
    let stopped = stopped?;
    let found: Value = serde_json::from_str(&stopped.stdout)?;
    ensure!(
        stopped.status.code() == Some(1) && says(&found, "/running", &Value::Null),
        "{stopped}"
    );
    Ok(())
}

fn says(answer: &Value, pointer: &str, expected: &Value) -> bool {
    answer.pointer(pointer) == Some(expected)
}
