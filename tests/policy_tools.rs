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
    let desk = Desk::new(&[("plan.json", plan)]);
    let import = desk.ramgate(&["policy", "import", "docker-settings", "plan.json"]);
    let policy: Value = serde_json::from_slice(&import.stdout).unwrap();
    assert_eq!(
        policy["registries"],
        json!([{ "host": "ghcr.io", "actions": ["pull", "push"] }])
    );
    assert_eq!(policy["docker-hub"]["organizations"], json!(["acme"]));
    assert_eq!(policy["docker-hub"]["verified-publisher"], "allow");
}

/// As people write it, with what Terraform alone knows in a place where it does no harm.
const CONFIGURATION: &str = r#"
variable "organization" { default = "acme" }

resource "docker_org_setting_image_access_management" "iam" {
  org_name                  = var.organization
  enabled                   = true
  allow_official_images     = true
  allow_verified_publishers = false # none is needed
}

resource "docker_org_setting_registry_access_management" "ram" {
  org_name = "acme"
  enabled  = true
  standard_registry_docker_hub = { allowed = true }
  custom_registries = [
    { address = "ghcr.io", friendly_name = "GitHub", allowed = true },
    { address = "quay.io", friendly_name = "Quay", allowed = false },
  ]
}
"#;

#[test]
fn a_configuration_of_terraform_is_read_and_its_expressions_are_never_guessed() {
    let guesses = [
        ("enabled  = true", "enabled  = var.on"),
        ("enabled  = true\n", ""),
        (
            "allow_official_images     = true",
            "allow_official_images     = local.official",
        ),
        ("allowed = true }\n", "allowed = var.hub }\n"),
        (
            "custom_registries = [",
            "custom_registries = local.more ? [] : [",
        ),
        ("\"ghcr.io\"", "var.address"),
        ("org_name = \"acme\"", "org_name = \"acme\"\n  count = 0"),
    ];
    let desk = Desk::new(&[("main.tf", CONFIGURATION)]);
    let import = |name| desk.ramgate(&["policy", "import", "docker-settings", name]);
    let read = import("main.tf");
    assert_eq!(read.status.code(), Some(0), "{}", stderr(&read));
    let policy: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(
        policy,
        json!({ "version": 1,
            "registries": [ { "host": "docker.io", "actions": ["pull", "push"] },
                            { "host": "ghcr.io", "actions": ["pull", "push"] } ],
            "docker-hub": { "organizations": ["acme"], "official": "allow", "verified-publisher": "deny",
                "sponsored-open-source": "deny", "community": "deny" },
            "local-images": { "load": "allow" } })
    );
    assert!(
        stderr(&read).contains("`${var.organization}`"),
        "{}",
        stderr(&read)
    );
    for (certain, guess) in guesses {
        let changed = CONFIGURATION.replacen(certain, guess, 1);
        assert_ne!(changed, CONFIGURATION, "{guess}");
        std::fs::write(desk.path("guess.tf"), changed).unwrap();
        let refused = import("guess.tf");
        assert_eq!(
            refused.status.code(),
            Some(64),
            "{guess}: {}",
            stdout(&refused)
        );
        assert!(
            stderr(&refused).contains("terraform show -json"),
            "{guess}: {}",
            stderr(&refused)
        );
    }
    std::fs::write(desk.path("broken.tf"), "resource {").unwrap();
    assert_eq!(import("broken.tf").status.code(), Some(64));
}

#[test]
fn what_is_exported_for_docker_comes_back_as_the_policy_it_was() {
    let policy = json!({ "version": 1,
        "registries": [ { "host": "docker.io", "actions": ["pull", "push"] },
                        { "host": "registry.acme.example:5000", "actions": ["pull", "push"] } ],
        "docker-hub": { "organizations": ["acme"], "official": "allow", "verified-publisher": "deny",
            "sponsored-open-source": "deny", "community": "deny" },
        "local-images": { "load": "allow" } });
    let desk = Desk::new(&[("policy.json", &policy.to_string())]);
    for (form, file) in [
        ("terraform", "ramgate.tf.json"),
        ("docker-settings", "api.json"),
    ] {
        let export = desk.ramgate(&["policy", "export", "policy.json", "--to", form]);
        assert_eq!(export.status.code(), Some(0), "{}", stderr(&export));
        std::fs::write(desk.path(file), &export.stdout).unwrap();
        let import = desk.ramgate(&[
            "policy",
            "import",
            "docker-settings",
            file,
            "--organization",
            "acme",
        ]);
        let back: Value = serde_json::from_slice(&import.stdout).unwrap();
        assert_eq!(back, policy, "{form}: {}", stderr(&import));
    }
}

#[test]
fn what_docker_cannot_say_is_left_out_of_an_export_and_named() {
    let desk = Desk::new(&[(
        "policy.json",
        r#"{ "version": 1, "mode": "audit",
             "registries": [ { "host": "quay.io" }, { "host": "*.corp.example" }, { "host": "ghcr.io", "repositories": ["acme/**"] } ],
             "docker-hub": { "community": "allow", "repositories": ["grafana/*"] }, "subjects": { "owners": ["alice"] } }"#,
    )]);
    let export = desk.ramgate(&["policy", "export", "policy.json", "--to", "docker-settings"]);
    let settings: Value = serde_json::from_slice(&export.stdout).unwrap();
    assert_eq!(
        settings,
        json!({
            "settings": { "restricted_images":
                { "enabled": true, "allow_official_images": false, "allow_verified_publishers": false } },
            "registry-access-management": { "enabled": true,
                "standard_registries": [ { "id": "DockerHub", "allowed": false } ],
                "custom_registries": [ { "address": "quay.io", "friendly_name": "quay.io", "allowed": true } ] } })
    );
    for note in [
        "`quay.io` is for pulls only",
        "`*.corp.example`",
        "`ghcr.io` is allowed in part",
        "docker-hub.community is allow",
        "docker-hub.repositories",
        "mode is audit",
        "subjects.owners",
    ] {
        assert!(
            stderr(&export).contains(note),
            "{note}: {}",
            stderr(&export)
        );
    }
    let nobody = desk.ramgate(&["policy", "export", "policy.json", "--to", "terraform"]);
    assert_eq!(nobody.status.code(), Some(64));
    assert!(
        stderr(&nobody).contains("--organization"),
        "{}",
        stderr(&nobody)
    );
}

#[test]
fn an_export_of_a_policy_has_its_drop_ins_in_it() {
    let desk = Desk::new(&[
        ("policy.json", POLICY),
        (
            "policy.d/10-site.json",
            r#"{ "version": 1, "registries": [{ "host": "ghcr.io", "repositories": ["acme/app"] }],
                 "docker-hub": { "official": "allow" }, "local-images": { "commit": "deny" } }"#,
        ),
    ]);
    let export = desk.ramgate(&["policy", "export", "policy.json"]);
    assert_eq!(export.status.code(), Some(0), "{}", stderr(&export));
    let policy: Value = serde_json::from_slice(&export.stdout).unwrap();
    assert_eq!(
        policy["registries"],
        json!([{ "host": "ghcr.io", "repositories": ["acme/app"] }])
    );
    assert_eq!(policy["docker-hub"]["verified-publisher"], "deny");
    assert_eq!(policy["local-images"]["commit"], "deny");
    assert_eq!(policy["subjects"]["owners"], json!(["alice"]));

    let cut =
        r#"{ "version": 1, "registries": [{ "host": "ghcr.io", "repositories": ["acme/*x*"] }] }"#;
    std::fs::write(desk.path("policy.d/20-cut.json"), cut).unwrap();
    std::fs::write(
        desk.path("policy.json"),
        POLICY.replace("acme/**", "acme/a*"),
    )
    .unwrap();
    std::fs::remove_file(desk.path("policy.d/10-site.json")).unwrap();
    let export = desk.ramgate(&["policy", "export", "policy.json"]);
    assert_ne!(export.status.code(), Some(0));
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
         docker-hub, egress, local-images, mode, origins, origins-by-digest, registries, subjects, version, watch\n\
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
