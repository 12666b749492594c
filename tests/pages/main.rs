//! Pages of the documentation that the program writes about itself: in step with it, or `make golden` writes them anew.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod commands;
mod terminal;

use std::path::Path;
use std::process::Command;

#[test]
fn the_page_of_commands_is_what_their_help_says() {
    check("docs/commands.md", &commands::page());
}

#[test]
fn the_picture_of_a_terminal_is_what_the_commands_print() {
    check("docs/terminal.svg", &terminal::picture());
}

/// What ramgate prints, from the repository's root.
fn ramgate(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ramgate"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn check(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("RAMGATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{file} is out of step with the program; `make golden` writes it"
    );
}
