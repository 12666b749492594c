//! `ramgate doctor` where there is no engine: what it says then, to people and to programs, and what it mends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::served::Served;

#[test]
fn without_an_engine_it_fails_and_says_what_to_do_and_mends_modes_when_asked_to() {
    let served = Served::start(r#"{ "version": 1 }"#, &json!({}), |_| {});
    let policy = served.path("policy.json");
    let mode = || fs::metadata(&policy).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(&policy, Permissions::from_mode(0o666)).unwrap();
    let doctor = |arguments: &[&str]| {
        let output = served.ramgate(&[&["doctor"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let report: Value = serde_json::from_str(&doctor(&["--json"])).unwrap();
    let finding = |check: &str, says: &str| {
        let mut findings = report["findings"].as_array().unwrap().iter();
        let found = findings.find(|finding| {
            finding["check"] == check && finding["says"].as_str().unwrap().contains(says)
        });
        found
            .unwrap_or_else(|| panic!("{check}: {says}: {report}"))
            .clone()
    };
    assert_eq!(finding("engine", "no-engine.sock")["health"], "bad");
    assert_eq!(finding("ramgate", "runs")["health"], "ok");
    assert_eq!(finding("policy", "is valid and in force")["health"], "ok");
    let fix = finding(
        "permissions",
        "policy.json may be changed by others than root",
    )["fix"]
        .clone();
    assert_eq!(fix, format!("chmod 644 {}", policy.display()));
    assert!(!report["coverage"].as_array().unwrap().is_empty());
    assert_eq!(mode(), 0o666, "it mends unasked");

    let text = doctor(&[]);
    assert!(
        text.contains("BAD      engine: ") && text.contains(fix.as_str().unwrap()),
        "{text}"
    );
    let mended = doctor(&["--fix"]);
    assert!(
        mended.contains("its mode was 666 and is now 644"),
        "{mended}"
    );
    assert_eq!(mode(), 0o644);
    assert!(!doctor(&[]).contains("policy.json may be changed"));
}
