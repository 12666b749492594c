//! Whatever users read of a refusal is explained: each code in `docs/reasons.md`, and the policy's and the plugin's texts in
//! `docs/troubleshooting.md`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

/// Where a refusal gets its code, and between what.
const CODES: [(&str, &str, &str); 6] = [
    (
        "policy/src/denial.rs",
        "pub const fn code(&self)",
        "fn rule(&self)",
    ),
    (
        "plugin/src/answer.rs",
        "pub(crate) fn code(&self)",
        "/// The line of the policy",
    ),
    (
        "plugin/src/unreadable.rs",
        "const fn code(&self)",
        "\n    }\n",
    ),
    ("mirror/src/path.rs", "const fn code(&self)", "\n    }\n"),
    (
        "egress/src/invalid_target.rs",
        "const fn code(self)",
        "\n    }\n",
    ),
    ("egress/src/guard.rs", "const fn code(&self)", "\n    }\n"),
];

/// Where it gets its text.
const TEXTS: [(&str, &str, &str); 3] = [
    (
        "policy/src/denial.rs",
        "impl fmt::Display for Reason",
        "fn restricted(",
    ),
    ("policy/src/denial.rs", "fn restricted(", "\n}\n"),
    (
        "plugin/src/answer.rs",
        "let msg = match refusal",
        "\n        };",
    ),
];

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The literals of a part of a source, without what breaks their lines.
fn literals((file, begin, end): (&str, &str, &str)) -> Vec<String> {
    let source = read(file);
    let (_, part) = source.split_once(begin).unwrap();
    let (part, _) = part.split_once(end).unwrap();
    let literals = part.split('"').skip(1).step_by(2);
    literals
        .map(|literal| {
            let mut lines = literal.split("\\\n");
            let first = lines.next().unwrap_or_default().to_owned();
            lines.fold(first, |text, line| text + line.trim_start())
        })
        .collect()
}

#[test]
fn every_code_of_a_refusal_is_explained() {
    let document = read("docs/reasons.md");
    // A row may be of several.
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let explained: String = rows.filter_map(|row| row.split(" | ").next()).collect();
    let egress = read("egress/src/gate.rs");
    let constants = [
        "const ADDRESS_REFUSED: &str = \"",
        "const REGISTRY_ADDRESS: &str = \"",
    ];
    let constants = constants.map(|constant| {
        let (_, rest) = egress.split_once(constant).unwrap();
        rest.split('"').next().unwrap().to_owned()
    });
    let codes: Vec<String> = CODES
        .into_iter()
        .flat_map(literals)
        .chain(constants)
        .collect();
    assert!(codes.len() > 55, "{codes:?}");
    let missing: Vec<&String> = codes
        .iter()
        // What a denial without a denial would be called.
        .filter(|code| *code != "denied" && !explained.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_text_of_a_refusal_is_in_the_list_of_texts() {
    let document = read("docs/troubleshooting.md");
    let texts: Vec<String> = TEXTS
        .into_iter()
        .flat_map(literals)
        // What stands between what is filled in: the longest part of it is what one looks for.
        .filter_map(|text| {
            let parts = text
                .split(['{', '}'])
                .step_by(2)
                .map(|part| part.trim_matches([' ', ':', ';']).to_owned());
            parts.max_by_key(String::len).filter(|part| part.len() > 10)
        })
        .collect();
    assert!(texts.len() > 15, "{texts:?}");
    let missing: Vec<&String> = texts
        .iter()
        .filter(|text| !document.contains(text.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
