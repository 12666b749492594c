//! The audit log of running gates: what a user reads leads to the line that says why.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod served;

use serde_json::{Value, json};
use served::{Served, ask};

const POLICY: &str = r#"{ "version": 1,
    "registries": [ { "host": "docker.io" }, { "host": "registry.example:80", "repositories": ["acme/**"] } ],
    "docker-hub": { "official": "allow" } }"#;

/// The ID that an answer ends with: its body, or without one its status line.
#[track_caller]
fn id(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let line = head.lines().next().unwrap();
    let text = if body.is_empty() { line } else { body };
    let (_, rest) = text
        .rsplit_once("(id ")
        .unwrap_or_else(|| panic!("no ID in {answer}"));
    let id = rest.get(..8).unwrap();
    assert!(rest[8..].starts_with(')'), "{answer}");
    // Where both say what the policy says, they say the same.
    if line.contains("(id ") {
        assert!(line.ends_with(&format!("(id {id})")), "{answer}");
    }
    id.to_owned()
}

fn get(method: &str, target: &str, host: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

#[test]
fn every_gates_refusal_leads_to_its_line_of_the_audit_log() {
    let settings = json!({ "egress": { "inspect": true } });
    let served = Served::start(POLICY, &settings, |file| {
        let made = std::process::Command::new(env!("CARGO_BIN_EXE_ramgate"))
            .args(["egress", "--settings", file, "ca", "init"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    });
    let mirror = |method: &str, target: &str| ask(served.mirror, &get(method, target, "mirror"));
    let egress =
        |method: &str, target: &str, host: &str| ask(served.egress, &get(method, target, host));
    let inspected = "http://registry.example/v2/other/thing/manifests/1";
    let refusals = [
        (
            "mirror",
            "category-not-allowed",
            mirror("GET", "/v2/evil/tool/manifests/1"),
        ),
        (
            "mirror",
            "category-not-allowed",
            mirror("HEAD", "/v2/evil/tool/manifests/1"),
        ),
        (
            "mirror",
            "namespace-ambiguous",
            mirror("GET", "/v2/library/alpine/manifests/1?ns=a&ns=b"),
        ),
        (
            "egress",
            "host-not-allowed",
            egress("CONNECT", "evil.example:443", "evil.example:443"),
        ),
        (
            "egress",
            "port-missing",
            egress("CONNECT", "evil.example", "evil.example"),
        ),
        (
            "inspect",
            "repository-not-allowed",
            egress("GET", inspected, "registry.example"),
        ),
        (
            "inspect",
            "no-registry-path",
            egress("GET", "http://registry.example/other", "registry.example"),
        ),
    ];
    let ids: Vec<String> = refusals.iter().map(|(_, _, answer)| id(answer)).collect();
    served.audited(|log| ids.iter().all(|id| log.contains(id)));
    for ((gate, reason, answer), id) in refusals.iter().zip(&ids) {
        let why = served.ramgate(&["audit", "why", "--json", id]);
        let line: Value = serde_json::from_slice(&why.stdout).unwrap();
        let said = |field: &str| line[field].as_str().unwrap_or_default();
        assert_eq!((said("gate"), said("decision")), (*gate, "deny"), "{line}");
        assert_eq!(said("reason"), *reason, "{line} for {answer}");
    }
}
