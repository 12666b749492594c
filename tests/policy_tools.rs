//! What helps to write a policy: test, diff, learn, import, init; and drop-ins.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// A folder with files.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = desk.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let settings = json!({ "state-dir": desk.path("state"), "catalog": { "online": false } });
        std::fs::write(desk.path("settings.json"), settings.to_string()).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs ramgate in the folder.
    fn ramgate(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ramgate"))
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const POLICY: &str = r#"{ "version": 1, "registries": [{ "host": "docker.io" }, { "host": "ghcr.io", "repositories": ["acme/**"] }],
  "docker-hub": { "official": "allow", "verified-publisher": "allow" }, "subjects": { "owners": ["alice"] } }"#;

const TESTS: &str = r#"{ "namespaces": { "grafana": "verified-publisher" }, "tests": [
  { "reference": "alpine:3", "expect": "allow", "rule": "docker-hub.official" },
  { "reference": "grafana/grafana", "expect": "allow" },
  { "reference": "evil/tool", "expect": "deny" },
  { "reference": "evil/tool", "as": "alice", "expect": "allow" },
  { "reference": "ghcr.io/acme/app", "action": "push", "expect": "deny" } ] }"#;

#[test]
fn a_policy_is_tried_with_files_of_expectations() {
    let wrong = TESTS.replace(
        r#""evil/tool", "expect": "deny""#,
        r#""evil/tool", "expect": "allow""#,
    );
    let desk = Desk::new(&[
        ("policy.json", POLICY),
        ("good.json", TESTS),
        ("wrong.json", &wrong),
        ("broken.json", r#"{ "test": [] }"#),
    ]);
    let good = desk.ramgate(&["policy", "test", "good.json", "--policy", "policy.json"]);
    assert_eq!(
        (good.status.code(), stdout(&good).as_str()),
        (Some(0), "5 as expected, 0 not\n")
    );
    let tap = desk.ramgate(&[
        "policy",
        "test",
        "wrong.json",
        "--policy",
        "policy.json",
        "--format",
        "tap",
    ]);
    assert_eq!(tap.status.code(), Some(1));
    let text = stdout(&tap);
    assert!(
        text.starts_with("TAP version 14\n1..5\nok 1 - pull of alpine:3"),
        "{text}"
    );
    assert!(
        text.contains(
            "not ok 3 - pull of evil/tool as anonymous is allowed\n# denied: image access denied"
        ),
        "{text}"
    );
    let junit = stdout(&desk.ramgate(&[
        "policy",
        "test",
        "wrong.json",
        "good.json",
        "--policy",
        "policy.json",
        "--format",
        "junit",
    ]));
    assert!(junit.contains("tests=\"10\" failures=\"1\""), "{junit}");
    let broken = desk.ramgate(&["policy", "test", "broken.json", "--policy", "policy.json"]);
    assert_eq!(broken.status.code(), Some(64));
    assert!(
        stderr(&broken).contains("test: unknown key, did you mean `tests`?"),
        "{}",
        stderr(&broken)
    );
}

const AUDIT: &str = r#"{"decision":"allow","registry":"docker.io","repository":"library/alpine","action":"pull","principal":"anonymous"}
{"decision":"allow","registry":"docker.io","repository":"library/alpine","action":"pull","principal":"daemon"}
{"decision":"allow","registry":"docker.io","repository":"grafana/grafana","action":"pull","principal":"anonymous"}
{"decision":"allow","registry":"ghcr.io","repository":"acme/a","action":"pull","principal":"anonymous"}
{"decision":"allow","registry":"ghcr.io","repository":"acme/b","action":"pull","principal":"anonymous"}
{"decision":"allow","registry":"ghcr.io","repository":"acme/c","action":"run","principal":"anonymous"}
{"decision":"allow","registry":"ghcr.io","repository":"acme/d","action":"pull","principal":"anonymous"}
{"decision":"allow","registry":"ghcr.io","repository":"acme/d","action":"push","principal":"ci-1"}
{"decision":"allow","registry":"quay.io","repository":"one/app","action":"pull","principal":"anonymous"}
{"decision":"deny","registry":"denied.example","repository":"x/y","action":"pull","principal":"anonymous"}
{"decision":"deny","route":"/build","principal":"anonymous"}
half a li"#;

#[test]
fn a_policy_is_learned_from_what_was_seen_and_allows_it() {
    let desk = Desk::new(&[("audit.jsonl", AUDIT)]);
    let learned = desk.ramgate(&["policy", "learn", "--audit", "audit.jsonl", "--widen", "3"]);
    assert_eq!(learned.status.code(), Some(0), "{}", stderr(&learned));
    assert!(
        stderr(&learned).contains("     2  docker.io/library/alpine  pull"),
        "{}",
        stderr(&learned)
    );
    let policy: Value = serde_json::from_slice(&learned.stdout).unwrap();
    assert_eq!(
        policy,
        json!({ "version": 1, "mode": "audit",
            "docker-hub": { "official": "allow", "community": "deny", "repositories": ["grafana/grafana"] },
            "registries": [
                { "host": "docker.io" },
                { "host": "ghcr.io", "repositories": ["acme/*"] },
                { "host": "ghcr.io", "repositories": ["acme/d"], "actions": ["pull", "push"] },
                { "host": "quay.io", "repositories": ["one/app"] } ] })
    );
    // What was allowed is allowed by it.
    let open =
        r#"{ "version": 1, "registries": [{ "host": "*.io", "actions": ["pull", "push"] }] }"#;
    std::fs::write(desk.path("open.json"), open).unwrap();
    let enforced = String::from_utf8(learned.stdout)
        .unwrap()
        .replace("\"audit\"", "\"enforce\"");
    std::fs::write(desk.path("learned.json"), enforced).unwrap();
    let diff = desk.ramgate(&[
        "policy",
        "diff",
        "open.json",
        "learned.json",
        "--audit",
        "audit.jsonl",
        "--settings",
        "settings.json",
    ]);
    let text = stdout(&diff);
    assert!(!text.contains("allowed → denied"), "{text}");
}

#[test]
fn a_diff_shows_what_was_seen_and_would_be_decided_otherwise() {
    let strict = POLICY.replace(
        r#""repositories": ["acme/**"]"#,
        r#""repositories": ["acme/a"]"#,
    );
    let desk = Desk::new(&[
        ("audit.jsonl", AUDIT),
        ("a.json", POLICY),
        ("b.json", &strict),
    ]);
    let arguments = [
        "policy",
        "diff",
        "a.json",
        "b.json",
        "--audit",
        "audit.jsonl",
        "--settings",
        "settings.json",
    ];
    let diff = desk.ramgate(&arguments);
    let text = stdout(&diff);
    assert_eq!(diff.status.code(), Some(0), "{}", stderr(&diff));
    assert!(
        text.contains("pull of ghcr.io/acme/b by anonymous, 1 times: allowed → denied"),
        "{text}"
    );
    assert!(!text.contains("acme/a "), "{text}");
    assert!(
        text.ends_with("3 of 10 requests would be decided differently\n"),
        "{text}"
    );
}

#[test]
fn settings_of_a_docker_organization_become_a_policy() {
    let api = r#"{ "restricted_images": { "enabled": true, "allow_official_images": true, "allow_verified_publishers": false } }"#;
    let registries = r#"{ "enabled": true, "standard_registries": [ { "id": "DockerHub", "allowed": true } ],
        "custom_registries": [ { "address": "https://registry.acme.example:5000", "friendly_name": "ours", "allowed": true },
            { "address": "quay.io", "friendly_name": "quay", "allowed": false } ] }"#;
    let desktop = r#"{ "configurationFileVersion": 2, "blockDockerLoad": { "locked": true, "value": true }, "proxy": { "mode": "system" } }"#;
    let desk = Desk::new(&[
        ("iam.json", api),
        ("ram.json", registries),
        ("admin-settings.json", desktop),
        ("other.json", "{}"),
    ]);
    let import = desk.ramgate(&[
        "policy",
        "import",
        "docker-settings",
        "iam.json",
        "ram.json",
        "admin-settings.json",
        "--organization",
        "acme",
    ]);
    assert_eq!(import.status.code(), Some(0), "{}", stderr(&import));
    let policy: Value = serde_json::from_slice(&import.stdout).unwrap();
    assert_eq!(
        policy,
        json!({ "version": 1,
            "registries": [
                { "host": "docker.io", "actions": ["pull", "push"] },
                { "host": "registry.acme.example:5000", "actions": ["pull", "push"] } ],
            "docker-hub": { "organizations": ["acme"], "official": "allow", "verified-publisher": "deny",
                "sponsored-open-source": "deny", "community": "deny" },
            "local-images": { "load": "deny" } })
    );
    for note in [
        "`quay.io` is listed and not allowed",
        "`proxy` of admin-settings.json",
        "cannot tell push from pull",
        "subjects.owners",
    ] {
        assert!(stderr(&import).contains(note), "{}", stderr(&import));
    }
    let other = desk.ramgate(&["policy", "import", "docker-settings", "other.json"]);
    assert_eq!(other.status.code(), Some(64));
}

#[test]
fn resources_of_dockers_terraform_provider_become_a_policy() {
    let plan = r#"{ "format_version": "1.2", "planned_values": { "root_module": { "child_modules": [ { "resources": [
        { "type": "docker_org_setting_image_access_management", "name": "iam",
          "values": { "org_name": "acme", "enabled": true, "allow_official_images": true, "allow_verified_publishers": true } },
        { "type": "docker_org_setting_registry_access_management", "name": "ram",
          "values": { "org_name": "acme", "enabled": true, "standard_registry_docker_hub": { "allowed": false },
            "custom_registries": [ { "address": "ghcr.io", "friendly_name": "GitHub", "allowed": true } ] } } ] } ] } } }"#;
    let hcl = "resource \"docker_org_setting_image_access_management\" \"iam\" {\n  org_name = \"acme\"\n}\n";
    let desk = Desk::new(&[("plan.json", plan), ("main.tf", hcl)]);
    let import = desk.ramgate(&["policy", "import", "docker-settings", "plan.json"]);
    let policy: Value = serde_json::from_slice(&import.stdout).unwrap();
    assert_eq!(
        policy["registries"],
        json!([{ "host": "ghcr.io", "actions": ["pull", "push"] }])
    );
    assert_eq!(policy["docker-hub"]["organizations"], json!(["acme"]));
    assert_eq!(policy["docker-hub"]["verified-publisher"], "allow");
    let refused = desk.ramgate(&["policy", "import", "docker-settings", "main.tf"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(
        stderr(&refused).contains("terraform show -json"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn init_takes_its_answers_from_options() {
    let desk = Desk::new(&[]);
    let init = desk.ramgate(&[
        "policy",
        "init",
        "--output",
        "-",
        "--level",
        "publisher",
        "--organization",
        "acme",
        "--registry",
        "ghcr.io",
        "--contact",
        "platform",
        "--audit",
    ]);
    let policy: Value = serde_json::from_slice(&init.stdout).unwrap();
    assert_eq!(policy["mode"], "audit");
    assert_eq!(policy["contact"], "platform");
    assert_eq!(policy["docker-hub"]["verified-publisher"], "allow");
    assert_eq!(policy["docker-hub"]["sponsored-open-source"], "deny");
    assert_eq!(
        policy["registries"][1],
        json!({ "host": "ghcr.io", "actions": ["pull", "push"] })
    );
    let wrong = desk.ramgate(&["policy", "init", "--output", "-", "--registry", "a b"]);
    assert_eq!(wrong.status.code(), Some(64));
    // Without a terminal nobody is asked.
    let plain = desk.ramgate(&["policy", "init", "--output", "plain.json"]);
    assert_eq!(plain.status.code(), Some(0));
}

#[test]
fn validate_points_at_the_place() {
    let desk = Desk::new(&[(
        "policy.json",
        "{\n  \"version\": 1,\n  \"registrys\": []\n}\n",
    )]);
    let output = desk.ramgate(&["policy", "validate", "policy.json"]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(
        stderr(&output),
        "ramgate: policy.json: line 3: registrys: unknown key, did you mean `registries`?; known here: $schema, contact, \
         docker-hub, egress, local-images, mode, origins, registries, subjects, version, watch\n\
         ramgate:     \"registrys\": []\n\
         ramgate:     ^\n"
    );
}

#[test]
fn a_drop_in_beside_the_policy_tightens_it_and_one_that_loosens_is_refused() {
    let desk = Desk::new(&[
        ("policy.json", POLICY),
        (
            "policy.d/10-site.json",
            r#"{ "version": 1, "registries": [{ "host": "docker.io" }] }"#,
        ),
    ]);
    let check = |reference: &str| desk.ramgate(&["check", reference, "--policy", "policy.json"]);
    assert_eq!(check("alpine").status.code(), Some(0));
    let denied = check("ghcr.io/acme/app");
    assert_eq!(denied.status.code(), Some(2));
    assert!(
        stdout(&denied).contains("by the drop-in 10-site.json"),
        "{}",
        stdout(&denied)
    );
    assert!(
        stdout(&denied).contains("denied by 10-site.json: registries"),
        "{}",
        stdout(&denied)
    );
    std::fs::write(
        desk.path("policy.d/20-loose.json"),
        "{ \"version\": 1,\n \"docker-hub\": { \"community\": \"allow\" } }",
    )
    .unwrap();
    let refused = check("alpine");
    assert_eq!(refused.status.code(), Some(64));
    assert!(
        stderr(&refused).contains("policy.d/20-loose.json: line 2: docker-hub.community: the policy itself does not allow this"),
        "{}",
        stderr(&refused)
    );
}
