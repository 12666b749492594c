//! The corpus as it is written: one JSON file for each class of attempts, read strictly.
//!
//! ```json
//! { "title": "Form bodies", "attempts": [ {
//!   "id": "form-urlencoded",
//!   "what": "An urlencoded body overrides the query",
//!   "engines": ["20.10", "26.1"],
//!   "given": ["docker pull evil/tool"],
//!   "act": { "engine": [ { "head": ["POST /images/create?fromImage=alpine HTTP/1.1"], "body": "fromImage=evil/tool" } ] },
//!   "goal": "image",
//!   "control": "20.10"
//! } ] }
//! ```
//!
//! In texts, `{{evil.id}}` and its like stand for the lab's images (see `vocabulary.rs`), `{{x*9000}}` for a repetition, and
//! in requests `\xff` for a byte.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// A file of the corpus: attempts of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Class {
    /// The name of its file, without the extension.
    #[serde(skip)]
    pub(crate) name: String,
    /// Its heading in `docs/threats.md`.
    pub(crate) title: String,
    pub(crate) attempts: Vec<Attempt>,
}

/// One way round.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Attempt {
    /// Unique in the corpus, and named in `docs/threats.md`.
    pub(crate) id: String,
    /// What is tried, in one sentence.
    pub(crate) what: String,
    /// The engines it can be tried on. All, unless given.
    #[serde(default)]
    pub(crate) engines: Vec<String>,
    /// Shell commands that are run before, while everything is allowed.
    #[serde(default)]
    pub(crate) given: Vec<String>,
    pub(crate) act: Act,
    /// What the attacker wants, which shows in the control that the attempt is a real one.
    pub(crate) goal: Goal,
    /// The engine whose control shows it. The last of `engines`, unless given.
    pub(crate) control: Option<String>,
    /// Why no engine lets it reach its goal even without ramgate. The control then shows that.
    pub(crate) inert: Option<String>,
    /// Where it gets through, and why: what is known and not closed.
    pub(crate) open: Option<Open>,
}

/// Where an attempt gets through, and how far. Should it get further, or one day no longer so far, its trial fails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Open {
    pub(crate) engines: Vec<String>,
    /// What it gets, and nothing else.
    pub(crate) gets: Vec<Goal>,
    pub(crate) why: String,
}

/// What is done. Requests are written to one connection, each as soon as it may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    /// Raw requests to `/run/docker.sock`.
    Engine(Vec<Request>),
    /// Raw requests to the mirror, at 127.0.0.1:5050.
    Mirror(Vec<Request>),
    /// Raw requests to the network gate, at 127.0.0.1:5051.
    Egress(Vec<Request>),
    /// A shell command next to the engine.
    Sh(String),
    /// Bytes through a tunnel of the network gate; in the control to where it would lead, with nothing between.
    Tunnel(Tunnel),
}

/// A request, as bytes would have it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Request {
    /// The request line and the fields.
    pub(crate) head: Vec<String>,
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) framing: Framing,
    /// Whether the answers to those before it are awaited, as a client does that keeps its connection. Else it is pipelined.
    #[serde(default)]
    pub(crate) wait: bool,
}

/// A tunnel, and what is said in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tunnel {
    /// As in `files.example:443`.
    pub(crate) to: String,
    /// Where it leads, if `/etc/hosts` does not say so.
    pub(crate) leads: Option<String>,
    /// As in requests.
    pub(crate) say: String,
    /// How many bytes of it go out at once. All, unless given.
    pub(crate) split: Option<usize>,
    /// Whether it is said before the tunnel is open.
    #[serde(default)]
    pub(crate) early: bool,
    /// How many such tunnels there are, one after the other.
    pub(crate) times: Option<usize>,
}

/// What is added to the head of a request. A `Host` where there is none, and `Connection: close` to the last, unless `raw`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Framing {
    /// The length of the body, if there is one.
    #[default]
    Length,
    /// `Transfer-Encoding`, and the body goes out in one chunk.
    Chunked,
    /// The body goes out in chunks of seven bytes.
    SmallChunks,
    /// Nothing.
    Raw,
}

/// What an attacker may want. None of these may come of any attempt, whichever is its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Goal {
    /// An image, or a name of one, whose content no allowed repository has served.
    Image,
    /// A container made from such an image, or with one mounted, or from none.
    Container,
    /// Such a container runs, or ran.
    Started,
    /// A registry or host that is not allowed was reached, or Docker Hub was asked for a repository that is not.
    Asked,
    /// A server that is allowed was asked for another host: by TLS, or by a request.
    Named,
    /// Docker Hub was reached at all.
    HubReached,
    /// Something went up to a registry.
    Pushed,
    /// A service that names such an image.
    Service,
    /// A managed plugin, or that one runs which was there.
    Plugin,
    /// What was denied was handed out: a manifest, a blob, a file, or what a program of such an image has printed.
    Bytes,
}

/// The whole corpus.
pub(crate) fn corpus() -> Result<Vec<Class>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    let classes = files
        .iter()
        .map(|path| read(path).with_context(|| format!("reading `{}`", path.display())))
        .collect::<Result<Vec<_>>>()?;
    let mut seen = BTreeSet::new();
    for attempt in classes.iter().flat_map(|class| &class.attempts) {
        ensure!(
            seen.insert(attempt.id.as_str()),
            "`{}` stands twice in the corpus",
            attempt.id
        );
    }
    Ok(classes)
}

/// Reads one file.
pub(crate) fn parse(name: &str, text: &str) -> Result<Class> {
    let mut class: Class = serde_json::from_str(text)?;
    name.clone_into(&mut class.name);
    for attempt in &class.attempts {
        check(attempt).with_context(|| format!("the attempt `{}`", attempt.id))?;
    }
    Ok(class)
}

fn read(path: &Path) -> Result<Class> {
    let name = path.file_stem().and_then(|stem| stem.to_str());
    parse(
        name.context("a file of the corpus has a name")?,
        &std::fs::read_to_string(path)?,
    )
}

fn check(attempt: &Attempt) -> Result<()> {
    let kebab =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    ensure!(
        !attempt.id.is_empty() && attempt.id.chars().all(kebab),
        "an id is of small letters, digits and dashes"
    );
    ensure!(
        !attempt.what.is_empty() && !attempt.what.ends_with('.') && !attempt.what.contains('\n'),
        "`what` is one sentence without its full stop"
    );
    let open = attempt.open.iter().flat_map(|open| &open.engines);
    let named = attempt.engines.iter().chain(&attempt.control).chain(open);
    for engine in named {
        ensure!(
            ENGINES.contains(&engine.as_str()),
            "there is no engine `{engine}`"
        );
    }
    ensure!(
        attempt.open.as_ref().is_none_or(|open| ![
            open.engines.is_empty(),
            open.gets.is_empty(),
            open.why.is_empty()
        ]
        .contains(&true)),
        "what is open says where, how far and why"
    );
    if let Some(control) = &attempt.control {
        ensure!(
            attempt.is_for(control),
            "its control runs on none of its engines"
        );
    }
    match &attempt.act {
        Act::Engine(requests) | Act::Mirror(requests) | Act::Egress(requests) => ensure!(
            !requests.is_empty() && requests.iter().all(|request| !request.head.is_empty()),
            "a request has a head"
        ),
        Act::Tunnel(tunnel) => ensure!(
            tunnel.to.contains(':') && !tunnel.say.is_empty() && tunnel.split != Some(0),
            "a tunnel leads to a port, and something is said in it"
        ),
        Act::Sh(command) => ensure!(!command.is_empty(), "a command says something"),
    }
    if attempt.inert.as_ref().is_some_and(String::is_empty) {
        bail!("`inert` says why");
    }
    Ok(())
}

// === impl Attempt ===

impl Attempt {
    /// Whether it is tried on this engine.
    pub(crate) fn is_for(&self, engine: &str) -> bool {
        self.engines.is_empty() || self.engines.iter().any(|name| name == engine)
    }

    /// What it is known to get on this engine; nothing, for all but a few.
    pub(crate) fn gets_on(&self, engine: &str) -> &[Goal] {
        let open = self.open.as_ref();
        let open = open.filter(|open| open.engines.iter().any(|name| name == engine));
        open.map_or(&[], |open| &open.gets)
    }

    /// The engine that its control runs on.
    pub(crate) fn control_engine(&self) -> &str {
        let last = || self.engines.last().map(String::as_str);
        self.control.as_deref().or_else(last).unwrap_or(ENGINES[3])
    }
}

/// The directory of the corpus.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bypass")
}

/// As `EngineKind::name` has them.
const ENGINES: [&str; 4] = ["20.10", "26.1", "28.5", "28.5 containerd"];
