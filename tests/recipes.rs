//! The recipes of `docs/recipes.md`, as they stand there: each piece is one of a policy or of the settings, and decides as it is said to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use serde_json::{Value, json};

const RECIPES: &str = include_str!("../docs/recipes.md");

/// The pieces in JSON under a heading.
fn pieces(heading: &str) -> Vec<Value> {
    let (_, section) = RECIPES.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```json\n").skip(1);
    blocks
        .map(|block| {
            let block = block.split("```").next().unwrap().trim();
            let whole = if block.starts_with('{') {
                block.to_owned()
            } else {
                format!("{{{block}}}")
            };
            serde_json::from_str(&whole).unwrap_or_else(|error| unreachable_piece(block, &error))
        })
        .collect()
}

#[track_caller]
#[expect(clippy::panic, reason = "a test fails by panicking")]
fn unreachable_piece(block: &str, error: &serde_json::Error) -> Value {
    panic!("{error}: {block}")
}

/// A folder with a policy and settings, to which pieces are added.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(policy: &Value, settings: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut whole = json!({ "version": 1 });
        whole
            .as_object_mut()
            .unwrap()
            .extend(policy.as_object().unwrap().clone());
        std::fs::write(folder.path().join("policy.json"), whole.to_string()).unwrap();
        let mut all = json!({
            "policy": { "path": folder.path().join("policy.json") },
            "state-dir": folder.path(),
            "catalog": { "online": false },
        });
        all.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        std::fs::write(folder.path().join("settings.json"), all.to_string()).unwrap();
        Self(folder)
    }

    fn ramgate(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_ramgate"))
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// That these may be used, and those not.
    #[track_caller]
    fn decides(&self, allowed: &[&str], denied: &[&str]) {
        let (code, text) = self.ramgate(&["policy", "validate", "policy.json"]);
        assert_eq!(code, Some(0), "{text}");
        for (images, expected) in [(allowed, 0), (denied, 2)] {
            for image in images {
                let mut arguments: Vec<&str> = vec!["check"];
                arguments.extend(image.split(' '));
                arguments.extend(["--settings", "settings.json"]);
                let (code, text) = self.ramgate(&arguments);
                assert_eq!(code, Some(expected), "{image}: {text}");
            }
        }
    }
}

fn policy(heading: &str, also: &Value) -> Folder {
    let mut policy = pieces(heading).remove(0);
    policy
        .as_object_mut()
        .unwrap()
        .extend(also.as_object().unwrap().clone());
    Folder::new(&policy, &json!({}))
}

#[test]
fn githubs_registry_is_the_organisations_alone() {
    let folder = policy("GitHub's registry, your organisation alone", &json!({}));
    folder.decides(
        &[
            "ghcr.io/acme/app",
            "ghcr.io/acme/app --action push",
            "alpine:3",
        ],
        &[
            "ghcr.io/other/app",
            "quay.io/acme/app",
            "alpine:3 --action push",
        ],
    );
}

#[test]
fn ecrs_copy_of_official_images_is_judged_as_docker_hubs() {
    let heading = "Amazon ECR";
    let own = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/acme/app";
    let hub = |official| json!({ "docker-hub": { "official": official } });
    let folder = policy(heading, &hub("deny"));
    folder.decides(
        &[own],
        &[
            "public.ecr.aws/docker/library/alpine",
            "public.ecr.aws/acme/app",
        ],
    );
    // By its origin it needs the origin's registry.
    let mut listed = pieces(heading).remove(0);
    listed["registries"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "host": "docker.io" }));
    listed["docker-hub"] = json!({ "official": "allow" });
    let folder = Folder::new(&listed, &json!({}));
    folder.decides(
        &[own, "public.ecr.aws/docker/library/alpine"],
        &["evil/tool"],
    );
}

#[test]
fn what_comes_through_a_proxy_of_docker_hub_is_judged_as_what_it_is() {
    let heading = "Harbor or Artifactory, as a proxy of Docker Hub";
    let folder = policy(heading, &json!({}));
    folder.decides(
        &[
            "harbor.acme.example/acme/app",
            "harbor.acme.example/hub/library/alpine",
            "harbor.acme.example/hub/acme/tool",
            "alpine:3",
        ],
        &["harbor.acme.example/hub/evil/tool", "ghcr.io/acme/tool"],
    );
    // Why the text has the origin's registry on the list.
    let mut alone = pieces(heading).remove(0);
    alone["registries"].as_array_mut().unwrap().pop();
    let folder = Folder::new(&alone, &json!({}));
    folder.decides(
        &["harbor.acme.example/acme/app"],
        &["harbor.acme.example/hub/library/alpine", "alpine:3"],
    );
}

#[test]
fn other_pieces_are_of_a_policy_or_of_the_settings() {
    for (heading, is_policy) in [
        ("Begin without breaking anything", true),
        ("Without the internet", false),
        ("CI runners", true),
        ("Swarm", true),
        ("A Kubernetes node with containerd", false),
    ] {
        let pieces = pieces(heading);
        assert!(!pieces.is_empty(), "{heading}");
        for piece in pieces {
            let (policy, settings) = if is_policy {
                (piece, json!({}))
            } else {
                (json!({}), piece)
            };
            Folder::new(&policy, &settings).decides(&["alpine:3"], &[]);
        }
    }
}
