//! Files that are not what a command wants, and readers that have gone: each is told, with the file's name and what is wrong, and with
//! the exit code that scripts go by.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 64;

/// A file as it should not be, and what is said of it. `Err`: made another way.
const WRONG: [(&str, &[u8], &str); 8] = [
    ("missing", b"", "missing"),
    ("folder", b"", "Is a directory"),
    ("empty", b"", "there is no JSON value"),
    ("blank", b" \n\n", "there is no JSON value"),
    ("binary", b"\x7fELF\xff\xfe\0", "this is no text in UTF-8"),
    (
        "bom",
        b"\xef\xbb\xbf{ \"version\": 1 }",
        "begins with a byte order mark",
    ),
    (
        "twice",
        b"{ \"version\": 1, \"version\": 1 }",
        "version: this key stands twice",
    ),
    (
        "misspelt",
        b"{ \"version\": 1, \"registrys\": [] }",
        "did you mean `registries`?",
    ),
];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, _) in WRONG {
        match name {
            "missing" => {}
            "folder" => std::fs::create_dir(folder.path().join(name)).unwrap(),
            _ => std::fs::write(folder.path().join(name), content).unwrap(),
        }
    }
    let good = r#"{ "version": 1, "registries": [{ "host": "docker.io" }] }"#;
    std::fs::write(folder.path().join("good"), good).unwrap();
    let tests = r#"{ "tests": [{ "reference": "alpine", "expect": "allow" }] }"#;
    std::fs::write(folder.path().join("tests"), tests).unwrap();
    folder
}

fn ramgate(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ramgate"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

#[track_caller]
fn is(output: &Output, code: i32, file: &str, text: &str, arguments: &[&str]) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(
        error.contains(file) && error.contains(text) && error.len() < 1000,
        "{arguments:?}: {error}"
    );
    assert!(output.stdout.is_empty(), "{arguments:?} printed something");
}

#[test]
fn a_policy_that_is_none_is_wrong_usage_wherever_it_is_read() {
    let folder = folder();
    for (file, _, text) in WRONG {
        for arguments in [
            &["policy", "validate", file][..],
            &["policy", "diff", file, "good"],
            &["policy", "diff", "good", file],
            &["policy", "export", file],
            &["policy", "test", "tests", "--policy", file],
            &["check", "alpine", "--policy", file],
        ] {
            let output = ramgate(folder.path(), arguments).output().unwrap();
            is(&output, USAGE, file, text, arguments);
        }
    }
}

#[test]
fn other_files_that_are_none_are_wrong_usage() {
    let folder = folder();
    for (file, _, _) in WRONG {
        for arguments in [
            &["policy", "test", file, "--policy", "good"][..],
            &["policy", "import", "docker-settings", file],
            &["check", "alpine", "--settings", file],
        ] {
            let output = ramgate(folder.path(), arguments).output().unwrap();
            is(&output, USAGE, file, "", arguments);
        }
    }
    // What is there, and has nothing in it that was seen: a policy that allows nothing is not proposed.
    for file in ["missing", "empty", "binary", "good"] {
        let arguments = ["policy", "learn", "--audit", file];
        let output = ramgate(folder.path(), &arguments).output().unwrap();
        is(&output, FAILED, file, "", &arguments);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told_and_nothing_is_overwritten() {
    let folder = folder();
    let init = |file: &str| {
        let arguments = ["policy", "init", "--output", file];
        ramgate(folder.path(), &arguments).output().unwrap()
    };
    is(&init("good"), USAGE, "good", "left as it is", &["init"]);
    is(&init("folder"), USAGE, "folder", "left as it is", &["init"]);
    is(&init("good/x"), FAILED, "good", "File exists", &["init"]);
}

#[test]
fn a_caret_stands_under_the_place_in_a_line_for_people_and_a_long_line_is_not_shown() {
    let folder = folder();
    let validate = |text: &str| {
        std::fs::write(folder.path().join("policy"), text).unwrap();
        let output = ramgate(folder.path(), &["policy", "validate", "policy"]);
        let output = { output }.output().unwrap();
        assert_eq!(output.status.code(), Some(USAGE));
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = validate("{ \"version\": 1,\n\t\"mode\": \"ä\" }");
    let (line, caret) = ("ramgate:    \"mode\": \"ä\" }\n", "ramgate:            ^\n");
    assert!(shown.contains(&format!("{line}{caret}")), "{shown}");
    let entries = vec![r#"{ "host": "" }"#; 2000].join(", ");
    let shown = validate(&format!(r#"{{ "version": 1, "registries": [{entries}] }}"#));
    assert_eq!(shown.lines().count(), 2000, "{shown}");
}

#[test]
fn a_reader_that_has_gone_is_not_complained_about_and_a_full_disk_is() {
    let folder = folder();
    for arguments in [
        &["policy", "schema"][..],
        &["policy", "export", "good"],
        &["policy", "init", "--output", "-"],
        &["policy", "test", "tests", "--policy", "good"],
        &["check", "alpine", "--policy", "good"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = ramgate(folder.path(), arguments);
        let cut_off = command.stdout(writer).stderr(Stdio::piped());
        is(&cut_off.output().unwrap(), FAILED, "", "", arguments);
        let error = cut_off
            .stdout(std::io::pipe().unwrap().1)
            .output()
            .unwrap()
            .stderr;
        assert!(error.is_empty(), "{arguments:?}: {error:?}");

        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let full = command.stdout(full.unwrap()).output().unwrap();
        is(&full, FAILED, "No space left", "", arguments);
        let done = command.stdout(Stdio::null()).output().unwrap();
        assert_eq!(done.status.code(), Some(DONE), "{arguments:?}");
    }
}
