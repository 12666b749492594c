//! ramgate itself: gone, back, and with a policy that is broken.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

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
