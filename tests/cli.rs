//! The program as scripts use it: words, output and exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ALLOWED: i32 = 0;
const DENIED: i32 = 2;
const USAGE: i32 = 64;

fn ramgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ramgate"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
        .display()
        .to_string()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with settings and a policy that a test may break.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new(policy: &str) -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(host.path("policy.json"), policy).unwrap();
        let settings = serde_json::json!({
            "policy": { "path": host.path("policy.json") },
            "state-dir": host.path("state"),
            "engine": { "socket": host.path("no-engine.sock") },
            "plugin": { "socket": host.path("plugins/ramgate.sock") },
            "mirror": { "listen": "127.0.0.1:0" },
            "egress": { "listen": "127.0.0.2:0" },
            "metrics": { "listen": "127.0.0.3:0" },
            "audit": { "path": host.path("log/audit.jsonl") },
        });
        std::fs::write(host.path("settings.json"), settings.to_string()).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self) -> String {
        self.path("settings.json").display().to_string()
    }
}

#[test]
fn check_answers_with_its_exit_code() {
    let policy = example("policy.json");
    let allowed = ramgate(&["check", "alpine:3", "--policy", &policy]);
    assert_eq!(allowed.status.code(), Some(ALLOWED));
    assert_eq!(
        stdout(&allowed),
        "allowed: pull of docker.io/library/alpine (docker-hub.official)\n\
         \x20 reference docker.io/library/alpine:3\n\
         \x20 action    pull, anonymous\n\
         \x20 judged    docker.io/library/alpine\n\
         \x20           is official: its name says so\n\
         \x20           allowed by docker-hub.official\n"
    );

    let denied = ramgate(&["check", "evil/tool", "--policy", &policy]);
    assert_eq!(denied.status.code(), Some(DENIED));
    let text = stdout(&denied);
    assert_eq!(
        text.split_inclusive('\n').next().unwrap(),
        "denied: image access denied: community images not allowed: docker.io/evil/tool \
         (ramgate: docker-hub.community is deny, and whether evil is a verified publisher or sponsored is not known: \
         Docker Hub was not asked; contact platform@acme.example)\n"
    );

    let owner = ramgate(&["check", "evil/tool", "--policy", &policy, "--as", "alice"]);
    assert_eq!(owner.status.code(), Some(ALLOWED));

    let push = ramgate(&[
        "check",
        "ghcr.io/acme/app",
        "--action",
        "push",
        "--policy",
        &policy,
    ]);
    assert_eq!(push.status.code(), Some(ALLOWED));
}

#[test]
fn check_answers_in_json() {
    let output = ramgate(&[
        "check",
        "ghcr.io/other/thing:1",
        "--json",
        "--policy",
        &example("policy.json"),
    ]);
    assert_eq!(output.status.code(), Some(DENIED));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["decision"], "deny");
    assert_eq!(answer["reason"], "repository-not-allowed");
    assert_eq!(answer["repository"], "ghcr.io/other/thing");
}

#[test]
fn a_reference_that_is_none_is_wrong_usage() {
    let output = ramgate(&["check", "acme/App", "--policy", &example("policy.json")]);
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(stdout(&output).is_empty());
    assert!(stderr(&output).contains("acme/App"), "{}", stderr(&output));
}

#[test]
fn validate_shows_every_mistake_with_file_line_and_key() {
    let host = Host::new("{\n  \"version\": 1,\n  \"registrys\": [],\n  \"mode\": \"x\"\n}");
    let file = host.path("policy.json").display().to_string();
    let output = ramgate(&["policy", "validate", &file]);
    assert_eq!(output.status.code(), Some(USAGE));
    let complaints = stderr(&output);
    assert!(
        complaints.contains(&format!("ramgate: {file}: line 3: registrys: unknown key")),
        "{complaints}"
    );
    assert!(
        complaints.contains(&format!(
            "ramgate: {file}: line 4: mode: `x` is not one of enforce, audit"
        )),
        "{complaints}"
    );

    let output = ramgate(&["policy", "validate", "--json", &file]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["valid"], false);
    assert_eq!(answer["findings"].as_array().unwrap().len(), 2);

    assert_eq!(
        ramgate(&["policy", "validate", &example("policy.json")])
            .status
            .code(),
        Some(ALLOWED)
    );
}

#[test]
fn init_writes_a_valid_policy_and_never_overwrites_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("etc/policy.json").display().to_string();
    assert_eq!(
        ramgate(&["policy", "init", "--output", &file])
            .status
            .code(),
        Some(ALLOWED)
    );
    assert_eq!(
        ramgate(&["policy", "validate", &file]).status.code(),
        Some(ALLOWED)
    );
    std::fs::write(&file, "precious").unwrap();
    assert_eq!(
        ramgate(&["policy", "init", "--output", &file])
            .status
            .code(),
        Some(USAGE)
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn wrong_usage_is_64_and_help_is_not_an_error() {
    assert_eq!(ramgate(&[]).status.code(), Some(USAGE));
    assert_eq!(ramgate(&["frobnicate"]).status.code(), Some(USAGE));
    assert_eq!(ramgate(&["--help"]).status.code(), Some(ALLOWED));
    assert_eq!(ramgate(&["--version"]).status.code(), Some(ALLOWED));
    assert!(stdout(&ramgate(&["completions", "bash"])).contains("ramgate"));
    assert!(stdout(&ramgate(&["man"])).contains(".TH ramgate 1"));
}

#[test]
fn decide_answers_as_the_plugin_does() {
    let host = Host::new(r#"{ "version": 1, "registries": [{ "host": "docker.io" }] }"#);
    let decide = |uri: &str| {
        let request = serde_json::json!({
            "RequestMethod": "POST",
            "RequestUri": uri,
            "RequestHeaders": { "Content-Length": "0" },
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_ramgate"))
            .args(["decide", "--settings", &host.settings()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(request.to_string().as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), answer)
    };
    let (code, answer) = decide("/v1.45/images/create?fromImage=alpine&tag=3");
    assert_eq!(
        (code, answer["Allow"].as_bool()),
        (Some(ALLOWED), Some(true)),
        "{answer}"
    );
    let (code, answer) = decide("/v1.45/images/create?fromImage=ghcr.io%2Facme%2Fapp&tag=1");
    assert_eq!(
        (code, answer["Allow"].as_bool()),
        (Some(DENIED), Some(false)),
        "{answer}"
    );
    assert!(
        answer["Msg"]
            .as_str()
            .unwrap()
            .starts_with("Access to ghcr.io has been restricted by your administrators")
    );
}

#[test]
fn serve_refuses_to_start_without_a_valid_policy() {
    let host = Host::new("{");
    let output = ramgate(&["serve", "--settings", &host.settings()]);
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(
        stderr(&output).contains("policy.json: line 1:"),
        "{}",
        stderr(&output)
    );

    std::fs::remove_file(host.path("policy.json")).unwrap();
    let output = ramgate(&["serve", "--settings", &host.settings()]);
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(
        stderr(&output).contains("there is no policy; write one with `ramgate policy init`"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn serve_names_the_key_of_a_taken_port() {
    let host = Host::new(r#"{ "version": 1 }"#);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = std::fs::read_to_string(host.settings()).unwrap();
    std::fs::write(
        host.settings(),
        settings.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()),
    )
    .unwrap();
    let output = ramgate(&["serve", "--settings", &host.settings()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("mirror.listen: 127.0.0.1:"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("is taken by another process"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn settings_that_are_wrong_are_all_shown() {
    let host = Host::new(r#"{ "version": 1 }"#);
    std::fs::write(
        host.settings(),
        "{\n \"mirror\": { \"listen\": 1 },\n \"egres\": {}\n}",
    )
    .unwrap();
    let output = ramgate(&["serve", "--settings", &host.settings()]);
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(
        stderr(&output).contains("line 2: mirror.listen: a string is expected, not a number"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("line 3: egres: unknown key"),
        "{}",
        stderr(&output)
    );
}

/// An audit log as the gates write it, with a line that is none and one that is not whole.
const AUDIT: &str = r#"{"timestamp":"2026-09-01T10:00:00.000000Z","level":"INFO","gate":"egress","decision":"deny","reason":"host-not-allowed","rule":"egress","registry":"evil.example","port":443,"method":"CONNECT","principal":"daemon","elapsed_ms":0.1}
{"timestamp":"2026-09-01T10:00:01.000000Z","level":"INFO","gate":"mirror","decision":"deny","reason":"category-not-allowed","rule":"docker-hub.community","registry":"docker.io","repository":"evil/tool","tag":"1","digest":null,"action":"pull","principal":"daemon","elapsed_ms":0.1}
not a line
{"timestamp":"2026-09-01T10:00:02.000000Z","level":"INFO","gate":"mirror","decision":"deny","reason":"category-not-allowed","rule":"docker-hub.community","registry":"docker.io","repository":"evil/tool","tag":"2","digest":null,"action":"pull","principal":"daemon","elapsed_ms":0.1}
{"timestamp":"2026-09-01T10:00:03.000000Z","level":"DEBUG","gate":"mirror","decision":"allow","reason":"allowed","rule":"docker-hub.official","registry":"docker.io","repository":"library/alpine","tag":"3","digest":null,"action":"pull","principal":"daemon","elapsed_ms":0.1}
{"timestamp":"2026-09-01T10:00:04.0000"#;

#[test]
fn audit_top_counts_what_was_denied_most() {
    let host = Host::new("{}");
    let log = host.path("log/audit.jsonl");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    std::fs::write(&log, AUDIT).unwrap();
    let settings = host.settings();
    let top = stdout(&ramgate(&[
        "audit",
        "top",
        "--denied",
        "--settings",
        &settings,
    ]));
    let lines: Vec<Vec<&str>> = top
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            [
                "2",
                "2026-09-01T10:00:02Z",
                "deny",
                "mirror",
                "docker.io/evil/tool",
                "category-not-allowed"
            ],
            [
                "1",
                "2026-09-01T10:00:00Z",
                "deny",
                "egress",
                "evil.example",
                "host-not-allowed"
            ],
        ]
    );
    let json = stdout(&ramgate(&[
        "audit",
        "top",
        "--json",
        "--limit",
        "1",
        "--settings",
        &settings,
    ]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["count"], 2);
    assert_eq!(json[0]["name"], "docker.io/evil/tool");
    assert_eq!(json.as_array().unwrap().len(), 1);
    let none = ramgate(&["audit", "top", "--since", "1m", "--settings", &settings]);
    assert_eq!(stdout(&none), "");
    let wrong = ramgate(&["audit", "top", "--since", "soon", "--settings", &settings]);
    assert_eq!(wrong.status.code(), Some(64));
}

#[test]
fn audit_tail_shows_decisions_in_words_or_as_they_are() {
    let host = Host::new("{}");
    let log = host.path("log/audit.jsonl");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    std::fs::write(&log, AUDIT).unwrap();
    let settings = host.settings();
    let tail = |more: &[&str]| {
        let arguments = ["audit", "tail", "--settings", &settings];
        stdout(&ramgate(&[&arguments, more].concat()))
    };
    let text = tail(&["--denied"]);
    assert_eq!(text.lines().count(), 3);
    assert_eq!(
        text.lines().nth(1).unwrap(),
        "2026-09-01T10:00:01Z  deny   mirror  pull     docker.io/evil/tool  category-not-allowed (docker-hub.community)  daemon"
    );
    assert_eq!(tail(&["--json"]).lines().count(), 4);
}

#[test]
fn the_authority_is_made_once_and_its_key_is_its_owners() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::new(
        r#"{ "version": 1, "registries": [ { "host": "ghcr.io" }, { "host": "*.acme.example" } ] }"#,
    );
    let settings = host.settings();
    let ca = |arguments: &[&str]| {
        ramgate(&[&["egress", "--settings", &settings, "ca"], arguments].concat())
    };
    let none = ca(&["show"]);
    assert!(
        stderr(&none).contains("make it with `ramgate egress ca init`"),
        "{}",
        stderr(&none)
    );
    assert!(stdout(&ca(&["init"])).contains("good for ghcr.io and below"));
    assert_eq!(ca(&["init"]).status.code(), Some(1));
    let key = host.path("state/inspection-ca.key");
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let first = stdout(&ca(&["show"]));
    assert!(
        first.contains("permitted: acme.example") && !first.contains("PRIVATE"),
        "{first}"
    );
    assert_eq!(ca(&["rotate"]).status.code(), Some(0));
    assert_ne!(stdout(&ca(&["show"])), first);
    // Where another root keeps what it trusts.
    let root = host.path("root");
    let anchors = root.join("usr/local/share/ca-certificates");
    std::fs::create_dir_all(&anchors).unwrap();
    let root = root.to_str().unwrap();
    assert_eq!(ca(&["install", "--root", root]).status.code(), Some(0));
    assert!(anchors.join("ramgate-inspection.crt").exists());
    assert_eq!(ca(&["remove", "--root", root]).status.code(), Some(0));
    assert!(!anchors.join("ramgate-inspection.crt").exists());
}

#[test]
fn an_authority_needs_a_list_of_registries() {
    let host = Host::new(r#"{ "version": 1 }"#);
    let refused = ramgate(&["egress", "--settings", &host.settings(), "ca", "init"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(stderr(&refused).contains("the policy has no list of them"));
}

#[test]
fn the_hosts_of_well_known_registries_are_told_with_their_sources() {
    let told = ramgate(&["egress", "hosts"]);
    let text = stdout(&told);
    assert!(text.contains("ghcr.io ("), "{text}");
    assert!(
        text.contains("\n  pkg-containers.githubusercontent.com\n"),
        "{text}"
    );
    assert!(text.contains("\n  auth.docker.io (tokens)\n"), "{text}");
    let json = stdout(&ramgate(&["egress", "hosts", "--json"]));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(rows.len() > 10, "{json}");
    assert!(
        rows.iter()
            .all(|row| row["source"] != "" && row["seen"] != ""),
        "{json}"
    );
}
