//! The bypass corpus as data: read strictly, large enough, and each attempt named in `docs/threats.md` and the other way round.
//! That the attempts fail on real engines is tested by `tests/bypass.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "bypass/attempt.rs"]
#[expect(
    dead_code,
    reason = "shared with tests/bypass.rs, which makes the attempts"
)]
mod attempt;

use std::collections::BTreeSet;
use std::path::Path;

use attempt::{Attempt, corpus, parse};

const ONE: &str = r#"{ "title": "A class", "attempts": [
    { "id": "one", "what": "Something", "act": { "sh": "true" }, "goal": "image" }
] }"#;

#[track_caller]
fn refused(from: &str, to: &str, word: &str) {
    let text = ONE.replacen(from, to, 1);
    assert_ne!(text, ONE, "{from}");
    let error = format!("{:#}", parse("class", &text).unwrap_err());
    assert!(error.contains(word), "{text}: {error}");
}

#[test]
fn the_corpus_is_read_strictly() {
    assert_eq!(parse("class", ONE).unwrap().attempts.len(), 1);
    refused("\"goal\"", "\"more\": 1, \"goal\"", "unknown field `more`");
    refused(
        "\"title\"",
        "\"titel\": 1, \"title\"",
        "unknown field `titel`",
    );
    refused(
        "\"goal\"",
        "\"id\": \"two\", \"goal\"",
        "duplicate field `id`",
    );
    refused(", \"goal\": \"image\"", "", "missing field `goal`");
    refused("\"image\"", "\"peace\"", "unknown variant `peace`");
    refused("\"sh\"", "\"shell\"", "unknown variant `shell`");
    refused(
        "{ \"sh\": \"true\" }",
        "{ \"engine\": [] }",
        "a request has a head",
    );
    refused(
        "{ \"sh\": \"true\" }",
        "{ \"engine\": [{ \"head\": [\"GET / HTTP/1.1\"], \"x\": 1 }] }",
        "unknown field `x`",
    );
    refused("\"one\"", "\"One\"", "an id is of small letters");
    refused("Something", "Something.", "`what` is one sentence");
    refused(
        "\"goal\"",
        "\"engines\": [\"19.03\"], \"goal\"",
        "no engine `19.03`",
    );
    refused(
        "\"goal\"",
        "\"engines\": [\"28.5\"], \"control\": \"26.1\", \"goal\"",
        "its control runs on none",
    );
    refused("\"goal\"", "\"inert\": \"\", \"goal\"", "`inert` says why");
    refused("] }", "] } }", "trailing characters");
}

#[test]
fn there_are_many_attempts_and_no_two_do_the_same() {
    let classes = corpus().unwrap();
    let attempts: Vec<_> = classes.iter().flat_map(|class| &class.attempts).collect();
    assert!(attempts.len() >= 200, "{} attempts", attempts.len());
    for (index, attempt) in attempts.iter().enumerate() {
        for other in attempts.iter().skip(index + 1) {
            assert!(
                attempt.what != other.what,
                "`{}` and `{}` say the same",
                attempt.id,
                other.id
            );
            assert!(
                attempt.act != other.act || attempt.given != other.given,
                "`{}` and `{}` do the same",
                attempt.id,
                other.id
            );
        }
    }
}

#[test]
fn every_attempt_has_its_line_in_the_threats_and_every_line_its_attempt() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/threats.md");
    let threats = std::fs::read_to_string(path).unwrap();
    let written: BTreeSet<&str> = threats
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let classes = corpus().unwrap();
    let mut due = BTreeSet::new();
    for attempt in classes.iter().flat_map(|class| &class.attempts) {
        let line = line(attempt);
        assert!(
            written.contains(line.as_str()),
            "docs/threats.md lacks the line: {line}"
        );
        due.insert(line);
    }
    for line in written {
        assert!(
            due.contains(line),
            "docs/threats.md has a line of no attempt: {line}"
        );
    }
    for class in &classes {
        let heading = format!("### {}", class.title);
        assert!(
            threats.lines().any(|line| line == heading),
            "docs/threats.md lacks the heading: {heading}"
        );
    }
}

/// The line of an attempt in `docs/threats.md`.
fn line(attempt: &Attempt) -> String {
    let start = format!("| `{}` | {} |", attempt.id, attempt.what);
    if let Some(reason) = &attempt.inert {
        return format!("{start} idle: {reason} |");
    }
    match &attempt.open {
        Some(open) => format!(
            "{start} open on {}: {} |",
            open.engines.join(", "),
            open.why
        ),
        None => format!("{start} closed |"),
    }
}
