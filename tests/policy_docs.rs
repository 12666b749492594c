//! The examples of `docs/policy.md`, run as they stand there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use serde_json::{Value, json};

const DOCS: &str = include_str!("../docs/policy.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    DOCS.split(begin.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn ramgate(folder: &tempfile::TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ramgate"))
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// A policy of which each key stands in an example: those of the documentation, joined.
fn joined() -> Value {
    let mut policy = json!({ "version": 1 });
    for block in blocks("json") {
        // Parts are written without their braces; a whole file of tests has them.
        if let Ok(Value::Object(part)) = serde_json::from_str(&format!("{{{block}}}")) {
            policy.as_object_mut().unwrap().extend(part);
        }
    }
    policy
}

#[test]
fn every_example_of_a_policy_is_valid_by_itself_and_all_together() {
    let folder = tempfile::tempdir().unwrap();
    let validate = |policy: &Value| {
        std::fs::write(folder.path().join("policy.json"), policy.to_string()).unwrap();
        let (code, text) = ramgate(&folder, &["policy", "validate", "policy.json"]);
        assert_eq!(code, Some(0), "{policy}: {text}");
    };
    let mut parts = 0;
    for block in blocks("json") {
        match serde_json::from_str::<Value>(&format!("{{ \"version\": 1, {block} }}")) {
            Ok(part) => {
                validate(&part);
                parts += 1;
            }
            Err(_) => assert!(serde_json::from_str::<Value>(block).is_ok(), "{block}"),
        }
    }
    assert_eq!(parts, 4, "registries, docker-hub, origins, subjects");
    validate(&joined());
}

#[test]
fn the_example_of_tests_passes_on_the_policy_of_the_examples() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), joined().to_string()).unwrap();
    let tests: Vec<&str> = blocks("json")
        .into_iter()
        .filter(|block| block.contains("\"tests\""))
        .collect();
    assert_eq!(tests.len(), 1);
    std::fs::write(folder.path().join("tests.json"), tests[0]).unwrap();
    let (code, text) = ramgate(
        &folder,
        &["policy", "test", "tests.json", "--policy", "policy.json"],
    );
    assert_eq!((code, text.as_str()), (Some(0), "4 as expected, 0 not\n"));
}

#[test]
fn every_command_of_the_examples_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut commands = 0;
    for line in blocks("console").iter().flat_map(|block| block.lines()) {
        let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
        let [program, arguments @ ..] = words.as_slice() else {
            continue;
        };
        assert_eq!(*program, "ramgate", "{line}");
        // A key in the text is cut short.
        let key = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let mut arguments: Vec<&str> = arguments
            .iter()
            .map(|word| if word.ends_with('…') { key } else { *word })
            .collect();
        let settings = json!({ "state-dir": folder.path(), "policy": { "path": folder.path().join("policy.json") }, "catalog": { "online": false } });
        std::fs::write(folder.path().join("settings.json"), settings.to_string()).unwrap();
        std::fs::write(folder.path().join("policy.json"), joined().to_string()).unwrap();
        arguments.extend(["--settings", "settings.json"]);
        let (code, text) = ramgate(&folder, &arguments);
        assert_ne!(code, Some(64), "{line}: {text}");
        commands += 1;
    }
    assert_eq!(commands, 5);
}
