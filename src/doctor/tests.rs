//! A host where all is well, on which each check's tests break one thing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::hosts::Hosts;
use super::policy::PolicyFiles;
use super::*;
use crate::control::{CanaryFlight, Vitals};
use crate::engine_report::{Chain, EngineReport};
use crate::live_policy::Standing;
use crate::settings::Settings;

/// Facts of a host where all is well, and the files that they are of.
pub(super) struct Well {
    pub(super) facts: Facts,
    _folder: tempfile::TempDir,
}

pub(super) fn well() -> Well {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let policy = json!({ "version": 1, "registries": [{ "host": "docker.io" }, { "host": "registry.example" }] });
    std::fs::write(path("policy.json"), policy.to_string()).unwrap();
    std::fs::write(path("audit.jsonl"), "").unwrap();
    let settings = json!({
        "policy": { "path": path("policy.json") },
        "state-dir": folder.path(),
        "audit": { "path": path("audit.jsonl") },
    });
    let settings = Settings::parse(&settings.to_string()).unwrap();
    let policy = PolicyFiles::read(&settings.policy_path);
    let vitals = Vitals {
        version: "0.1.0".to_owned(),
        pid: 1,
        since: Timestamp::now(),
        enforces: true,
        policy: Standing {
            since: Timestamp::now(),
            digest: policy.as_ref().ok().map(|files| files.digest.clone()),
            error: None,
        },
    };
    let facts = Facts {
        now: Timestamp::now(),
        engine: Ok(EngineReport {
            version: "29.3.1".to_owned(),
            api_version: "1.45".to_owned(),
            ..EngineReport::default()
        }),
        chain: Ok(Chain::Asked {
            plugin: "ramgate".to_owned(),
            id: "00c0ffee".to_owned(),
        }),
        vitals: Ok(Some(vitals)),
        flight: Ok(Some(CanaryFlight {
            seen: true,
            missing: Vec::new(),
        })),
        policy,
        inspection: None,
        hosts: Hosts::default(),
        images: Ok(Vec::new()),
        containers: Ok(Vec::new()),
        known: BTreeSet::new(),
        settings,
    };
    Well {
        facts,
        _folder: folder,
    }
}

/// That one thing is found, with what it says and with what mends it.
#[track_caller]
pub(super) fn check(findings: &[Finding], health: Health, says: &str, fix: &str) {
    let [finding] = findings else {
        panic!("not one finding: {findings:?}");
    };
    assert_eq!(finding.health, health, "{finding:?}");
    assert!(finding.says.contains(says), "{finding:?}");
    let mends = finding.fix.as_deref().unwrap_or_default();
    assert!(mends.contains(fix), "{finding:?}");
}

#[test]
fn a_warning_is_no_failure_and_what_is_bad_or_open_is_one() {
    let report = |state, health| Report {
        coverage: vec![Cell {
            path: Path::ALL[0],
            granularity: Granularity::ALL[0],
            state,
            reason: "",
            fix: None,
        }],
        findings: vec![Finding {
            health,
            ..Finding::ok("any", "")
        }],
    };
    assert!(report(State::Enforced, Health::Ok).is_sound());
    assert!(report(State::NotApplicable, Health::Warning).is_sound());
    assert!(!report(State::Enforced, Health::Bad).is_sound());
    assert!(!report(State::Open, Health::Ok).is_sound());
}

#[test]
fn whatever_is_not_well_comes_with_what_mends_it() {
    let mut well = well();
    let facts = &mut well.facts;
    let away = || "away".to_owned();
    facts.engine = Err(away());
    facts.chain = Err(away());
    facts.vitals = Err(away());
    facts.flight = Err(away());
    facts.policy = Err(away());
    facts.images = Err(away());
    facts.containers = Err(away());
    let report = Report::examine(facts, false);
    let lame = |finding: &&Finding| finding.health != Health::Ok && finding.fix.is_none();
    assert_eq!(report.findings.iter().find(lame), None);
    let checks: BTreeSet<&str> = report
        .findings
        .iter()
        .map(|finding| finding.check)
        .collect();
    for check in [
        "policy",
        "engine",
        "ramgate",
        "plugin",
        "network",
        "hosts.toml",
        "builders",
        "images",
        "clock",
        "disk",
    ] {
        assert!(checks.contains(check), "{check} of {checks:?}");
    }
    // And programs read the same.
    let json: Value = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["findings"].as_array().unwrap().len(),
        report.findings.len()
    );
    assert_eq!(json["findings"][0]["health"], "bad");
}
