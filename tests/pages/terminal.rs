//! A terminal with what the commands of the README print.

use std::fmt::Write as _;

use crate::ramgate;

/// What is run, with `examples/policy.json`.
const LINES: [&[&str]; 3] = [
    &["check", "alpine:3"],
    &["check", "evil/tool"],
    &["check", "ghcr.io/other/thing:1"],
];
const POLICY: [&str; 3] = ["--offline", "--policy", "examples/policy.json"];
const COLUMNS: usize = 104;
/// Of a letter in a monospaced font, in hundredths of a pixel, and of a line, in pixels.
const LETTER: usize = 843;
const LINE: usize = 19;

/// The picture.
pub(crate) fn picture() -> String {
    let mut lines = Vec::new();
    for command in LINES {
        let words = [command, &POLICY].concat();
        lines.push(("prompt", format!("$ ramgate {}", words.join(" "))));
        for line in ramgate(&words).lines() {
            let kind = match line.split(':').next() {
                Some("allowed") => "allowed",
                Some("denied") => "denied",
                _ => "more",
            };
            lines.extend(wrapped(line).into_iter().map(|line| (kind, line)));
        }
        lines.push(("more", String::new()));
    }
    lines.pop();
    let width = (COLUMNS * LETTER).div_ceil(100) + 32;
    let height = lines.len() * LINE + 60;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"ramgate check in a terminal\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16191f\"/>\n\
         <circle cx=\"20\" cy=\"18\" r=\"6\" fill=\"#ff5f57\"/><circle cx=\"40\" cy=\"18\" r=\"6\" fill=\"#febc2e\"/>\
         <circle cx=\"60\" cy=\"18\" r=\"6\" fill=\"#28c840\"/>\n"
    );
    for (index, (kind, line)) in lines.iter().enumerate() {
        let y = 52 + index * LINE;
        let text = line
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        writeln!(
            svg,
            "<text class=\"{kind}\" x=\"16\" y=\"{y}\" xml:space=\"preserve\">{text}</text>"
        )
        .unwrap();
    }
    svg.push_str("</svg>\n");
    svg
}

/// Broken at spaces, as it is readable; a terminal would break within words.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = lines.last_mut().expect("it begins with one");
        if last.chars().count() + word.trim_end().chars().count() > COLUMNS {
            lines.push(word.to_owned());
        } else {
            last.push_str(word);
        }
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

const STYLE: &str = "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#9aa4b2}\
                     .prompt{fill:#e6e9ef;font-weight:bold}.allowed{fill:#5fd38a}.denied{fill:#ff7b72}";
