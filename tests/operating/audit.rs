//! The audit log of running gates: what a user reads leads to the line that says why.

use serde_json::{Value, json};

use crate::served::{Served, ask};

const POLICY: &str = r#"{ "version": 1,
    "registries": [ { "host": "docker.io" }, { "host": "registry.example:80", "repositories": ["acme/**"] } ],
    "docker-hub": { "official": "allow" } }"#;

/// The ID that an answer ends with: its body, or without one its status line.
#[track_caller]
pub(crate) fn id(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let line = head.lines().next().unwrap();
    let text = if body.is_empty() { line } else { body };
    let (_, rest) = text.rsplit_once("(id ").expect("an ID ends the answer");
    let (id, _) = rest.split_once(')').unwrap();
    // Where both say what the policy says, they say the same.
    if line.contains("(id ") {
        assert!(line.ends_with(&format!("(id {id})")), "{answer}");
    }
    id.to_owned()
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
    let (mirror, connect) = (
        |target| served.pull(target),
        |target| served.connect(target),
    );
    let forwarded = |target| ask(served.egress, "GET", target, "registry.example");
    let head = ask(served.mirror, "HEAD", "/v2/evil/tool/manifests/1", "mirror");
    let inspected = "http://registry.example/v2/other/thing/manifests/1";
    let refusals = [
        (
            "mirror",
            "category-not-allowed",
            mirror("/v2/evil/tool/manifests/1"),
        ),
        ("mirror", "category-not-allowed", head),
        (
            "mirror",
            "namespace-ambiguous",
            mirror("/v2/library/alpine/manifests/1?ns=a&ns=b"),
        ),
        ("egress", "host-not-allowed", connect("evil.example:443")),
        ("egress", "port-missing", connect("evil.example")),
        ("inspect", "repository-not-allowed", forwarded(inspected)),
        (
            "inspect",
            "no-registry-path",
            forwarded("http://registry.example/other"),
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
