//! The book as it is built: every link and picture of every page leads to something in it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a page links to, and what in it can be linked to.
#[derive(Default)]
struct Page {
    links: BTreeSet<String>,
    places: BTreeSet<String>,
}

#[test]
fn every_link_of_the_built_book_leads_somewhere() {
    let book = built();
    let pages: BTreeMap<String, Page> = std::fs::read_dir(&book)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "html")
        })
        .map(|path| (name(&path), page(&std::fs::read_to_string(&path).unwrap())))
        .collect();
    assert!(pages.len() > 20, "{:?}", pages.keys());
    let mut seen = 0;
    let mut lost = Vec::new();
    // Of what mdBook adds, this one is for an address that nobody knows.
    for (name, page) in pages.iter().filter(|(name, _)| *name != "404.html") {
        for link in page.links.iter().filter(|link| !is_elsewhere(link)) {
            seen += 1;
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { name } else { file };
            let there = match pages.get(file) {
                Some(target) => place.is_empty() || target.places.contains(place),
                None => book.join(file).is_file(),
            };
            if !there {
                lost.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(seen > 300, "{seen}");
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// With a scheme, or a host. Those outside are not asked: a build of the book needs no network.
fn is_elsewhere(link: &str) -> bool {
    link.starts_with("//")
        || link
            .split(['/', '#'])
            .next()
            .is_some_and(|start| start.contains(':'))
}

fn page(html: &str) -> Page {
    let mut page = Page::default();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        page.links.extend(attribute(tag, "href"));
        page.links.extend(attribute(tag, "src"));
        page.places.extend(attribute(tag, "id"));
    }
    page
}

/// An attribute of a tag, as mdBook writes them.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn built() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book");
    let output = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--no-print-directory", "book"])
        .arg(format!("DIST={}", folder.display()))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder.join("book")
}
