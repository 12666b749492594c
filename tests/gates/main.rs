//! One decision at every gate, as a golden file: what an image is × how it is named × what asks × who asks. The gates are the real ones,
//! in this process; Docker Hub's API, the registries and the engine are servers here.
//!
//! INVARIANT(no-surprise): a row that differs from what the engine gate says of a pull is of a [`Sight`] that explains it, and the
//! explanation stands beside it in the file. A difference that none explains fails here. `make golden` writes the file anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod engine;
mod registry;
mod world;

use std::fmt::Write as _;
use std::path::Path;

use world::{Cell, World};

/// What Docker Hub has.
const IMAGES: [(&str, &str); 6] = [
    ("official", "library/alpine"),
    ("own organization", "own/app"),
    ("verified publisher", "publisher/app"),
    ("sponsored open source", "sponsored/app"),
    ("community", "nobody/app"),
    ("unreachable", "silent/app"),
];

/// The same image by Docker Hub's name, by a copy of Docker Hub that everybody knows, and by one that the policy says is one.
const NAMES: [&str; 3] = ["docker.io/", "mirror.gcr.io/", "harbor.site.example/hub/"];

const POLICY: &str = r#"{ "version": 1,
    "registries": [ { "host": "docker.io" }, { "host": "mirror.gcr.io" }, { "host": "harbor.site.example" } ],
    "docker-hub": { "official": "allow", "verified-publisher": "allow", "organizations": ["own"] },
    "origins": [ { "prefix": "harbor.site.example/hub/", "origin": "docker.io/" } ],
    "subjects": { "owners": ["owner"], "teams": {
        "loose": { "members": ["loose"], "docker-hub": { "sponsored-open-source": "allow", "community": "allow" } },
        "tight": { "members": ["tight"], "docker-hub": { "official": "deny", "verified-publisher": "deny" } } } } }"#;

/// Callers, by the names of their certificates; nobody has none.
const CALLERS: [&str; 4] = ["", "owner", "loose", "tight"];

/// What a gate knows when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Image and caller.
    Caller,
    /// The image alone.
    Daemon,
    /// The image, and whose pull is under way.
    Pull,
    /// The host alone.
    Host,
}

// === impl Sight ===

impl Sight {
    /// What follows for a row of such a sight, from what the engine gate says of a pull by each caller.
    fn expected(self, pulls: &[Cell], name: &str) -> Vec<bool> {
        let pulls: Vec<bool> = pulls.iter().map(Cell::is_allowed).collect();
        let anybody = *pulls.first().unwrap();
        match self {
            Self::Caller => pulls,
            Self::Daemon => vec![anybody; pulls.len()],
            Self::Pull => pulls.iter().map(|allowed| *allowed || anybody).collect(),
            Self::Host => vec![!name.starts_with("docker.io/"); pulls.len()],
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::Caller => "",
            Self::Daemon => {
                "who serves the daemon cannot know its caller, and judges what anybody may"
            }
            Self::Pull => {
                "a refused pull never begins; who fetches by himself is judged as anybody is"
            }
            Self::Host => {
                "a tunnel shows a host and no image: Docker Hub's is closed, since the mirror carries it, and the others' are on the list"
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gate_says_the_same_of_an_image_or_it_is_known_why() {
    let world = World::new(POLICY).await;
    let mut table = format!("{POLICY}\n\n{:42}", "caller:");
    for caller in CALLERS {
        let name = if caller.is_empty() { "nobody" } else { caller };
        write!(table, "  {name:6}").unwrap();
    }
    table.push('\n');
    for (kind, path) in IMAGES {
        for prefix in NAMES {
            let name = format!("{prefix}{path}");
            writeln!(table, "\n# {kind}: {name}").unwrap();
            section(&mut table, &world.ask(&name, &CALLERS).await, &name);
        }
    }
    check(&table);
}

/// The rows of one image, and what is said to those who are refused.
fn section(table: &mut String, rows: &[world::Row], name: &str) {
    let pulls = &rows.first().unwrap().cells;
    let mut texts: Vec<&str> = Vec::new();
    for row in rows {
        write!(table, "{:42}", row.question).unwrap();
        for cell in &row.cells {
            let mark = if cell.is_allowed() { '✔' } else { '✘' };
            write!(table, "  {mark:6}").unwrap();
        }
        let found: Vec<bool> = row.cells.iter().map(Cell::is_allowed).collect();
        assert_eq!(
            found,
            row.sight.expected(pulls, name),
            "{name}: {}: nothing explains this",
            row.question
        );
        let differs = row.sight.expected(pulls, name) != Sight::Caller.expected(pulls, name);
        let note = if differs { row.sight.explanation() } else { "" };
        if !note.is_empty() {
            write!(table, "// {note}").unwrap();
        }
        while table.ends_with(' ') {
            table.pop();
        }
        table.push('\n');
        for text in row.cells.iter().filter_map(Cell::text) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    for text in texts {
        writeln!(table, "  “{text}”").unwrap();
    }
}

fn check(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gates/decisions.txt");
    if std::env::var_os("RAMGATE_GOLDEN").is_some() {
        std::fs::write(&path, table).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = reviewed.lines().zip(table.lines()).enumerate();
    let first = differing.into_iter().find(|(_, (was, is))| was != is);
    assert!(
        reviewed == table,
        "tests/gates/decisions.txt is not what the gates say, first in {first:?}; `make golden` writes it"
    );
}
