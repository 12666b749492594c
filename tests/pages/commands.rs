//! Every command, as its own help has it.

use std::fmt::Write as _;

use crate::ramgate;

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(HEAD);
    for name in subcommands(&ramgate(&["--help"])) {
        add(&mut page, &[&name]);
    }
    page
}

/// A command, and then those below it.
fn add(page: &mut String, words: &[&str]) {
    let help = ramgate(&[words, &["--help"]].concat());
    let level = "#".repeat(words.len() + 1);
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    write!(
        page,
        "\n{level} `ramgate {}`\n\n```text\n{text}\n```\n",
        words.join(" ")
    )
    .unwrap();
    for name in subcommands(&help) {
        add(page, &[words, &[name.as_str()]].concat());
    }
}

/// The names below `Commands:`.
fn subcommands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let list = list.split("\n\n").next().expect("a split has a first part");
    // A description that goes on is indented further.
    let names = list.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        (!name.starts_with(' ')).then(|| name.split(' ').next())?
    });
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

const HEAD: &str = "# Every command

What `ramgate COMMAND --help` says; `man ramgate` has the same. Exit codes: 0 allowed or done, 1 failed, 2 denied, 64 wrong usage or
configuration. `make golden` writes this page.
";
