//! The documentation hangs together: every link between its pages leads somewhere, and every page is in the book.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn links_between_pages_lead_somewhere() {
    let mut links = 0;
    let mut broken = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(path)
            };
            let there = file.exists();
            let anchored = anchor.is_empty()
                || std::fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor));
            if !there || !anchored {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(links > 50, "only {links} links are read");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_books_pages_lead_to_nothing_outside_of_it() {
    let docs = root().join("docs");
    for page in markdown(&docs) {
        let text = std::fs::read_to_string(&page).unwrap();
        let outside: Vec<&str> = targets(&text)
            .filter(|target| target.contains(".."))
            .collect();
        assert!(outside.is_empty(), "{}: {outside:?}", page.display());
    }
}

#[test]
fn the_quick_start_is_what_the_readme_says() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let (readme, quick) = (read("README.md"), read("docs/quickstart.md"));
    let (_, section) = readme.split_once("\n## On your server\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let consoles = |text: &str| {
        let blocks = text.split("```console\n").skip(1);
        let blocks = blocks.map(|block| block.split("```").next().unwrap().to_owned());
        blocks.collect::<Vec<_>>()
    };
    assert_eq!(consoles(section), consoles(&quick));
    assert_eq!(consoles(section).len(), 3);
}

#[test]
fn every_page_is_in_the_book() {
    let docs = root().join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<&str> = targets(&summary).collect();
    for page in markdown(&docs) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(
            name == "SUMMARY.md" || listed.contains(name),
            "docs/SUMMARY.md does not list {name}"
        );
    }
}

#[test]
fn links_and_anchors_are_read_as_they_are_written() {
    let text = "# On a `server`: 28.0!\n[a](b.md#c) ![i](i.png) [w](https://x.example)\n```\n[no](link.md)\n# no\n```\n## Two words";
    assert_eq!(targets(text).collect::<Vec<_>>(), ["b.md#c", "i.png"]);
    let expected = ["on-a-server-280", "two-words"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    [root().to_owned(), root().join("docs")]
        .iter()
        .flat_map(|folder| markdown(folder))
        .collect()
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// Lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// What links within the repository lead to.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let links = prose(text).flat_map(|line| line.split("](").skip(1));
    let targets = links.filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

/// The names that headings go by: as forges and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter_map(|letter| match letter {
                ' ' => Some('-'),
                '-' | '_' => Some(letter),
                letter if letter.is_alphanumeric() => Some(letter),
                _ => None,
            });
            kept.collect()
        })
        .collect()
}
