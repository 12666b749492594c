//! The words that texts of the corpus may hold: what the lab's images are called by digests and IDs.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{EngineKind, Image, Lab, hello, hello_in_records};

use crate::wire::unescape;

/// A repository on a stand-in, and whether the corpus's policy allows it.
#[derive(Clone, Copy, Debug)]
struct Content {
    word: &'static str,
    registry: &'static str,
    repository: &'static str,
    tag: &'static str,
    allowed: bool,
    /// Whether the corpus puts it there, rather than the lab.
    own: bool,
}

/// What words stand for, on one engine.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    words: BTreeMap<String, String>,
    /// Texts that are only in denied content.
    denied: Vec<String>,
}

// === impl Content ===

impl Content {
    /// What its label and its file say.
    fn marker(&self) -> String {
        format!("{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

// === impl Vocabulary ===

impl Vocabulary {
    pub(crate) fn new(kind: EngineKind) -> Result<Self> {
        let mut words = BTreeMap::new();
        let mut denied = vec![HELLO_FROM_DENIED.to_owned()];
        for (content, image) in images()? {
            let id = if kind.has_containerd_store() {
                image.digest()
            } else {
                image.config_digest()
            };
            let hex = id.trim_start_matches("sha256:");
            let mut word = |name: &str, value: &str| {
                words.insert(format!("{}.{name}", content.word), value.to_owned())
            };
            word("id", id);
            word("hex", hex);
            for (name, length) in [("short", 12), ("four", 4), ("two", 2)] {
                word(name, hex.get(..length).context("an ID is long")?);
            }
            word("upper", &hex.to_ascii_uppercase());
            word("digest", image.digest());
            word("digest-hex", image.digest().trim_start_matches("sha256:"));
            word("manifest", image.manifest_digest());
            word("config", image.config_digest());
            word("layer", image.layer_digest());
            if !content.allowed {
                denied.extend([
                    format!("\"digest\":\"{}\"", image.manifest_digest()),
                    format!("\"digest\":\"{}\"", image.config_digest()),
                    format!("\"marker\":\"{}\"", content.marker()),
                    format!("{}\0\0\0", content.marker()),
                    format!("executed={}", content.marker()),
                ]);
            }
        }
        Ok(Self { words, denied })
    }

    /// Puts words and repetitions in their places.
    pub(crate) fn fill(&self, text: &str) -> Result<String> {
        let mut pieces = text.split("{{");
        let mut filled = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (word, rest) = piece.split_once("}}").context("`{{` without `}}`")?;
            filled.push_str(&self.word(word)?);
            filled.push_str(rest);
        }
        Ok(filled)
    }

    fn word(&self, word: &str) -> Result<String> {
        if let Some(hello) = client_hello(word)? {
            return Ok(hello.iter().map(|byte| format!("\\x{byte:02x}")).collect());
        }
        if let Some((text, times)) = word.rsplit_once('*') {
            return Ok(text.repeat(times.parse()?));
        }
        let value = self.words.get(word);
        Ok(value.with_context(|| format!("no word `{word}`"))?.clone())
    }

    /// What an answer holds of content that is denied.
    pub(crate) fn denied_content(&self, answer: &[u8]) -> Result<Option<&str>> {
        ensure!(!self.denied.is_empty(), "nothing is denied");
        let found = self.denied.iter().find(|text| {
            answer
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        });
        Ok(found.map(String::as_str))
    }
}

/// `hello NAME…`: a ClientHello with these names. `hello-ech` has an encrypted one beside it, `hello-records` comes in two records.
fn client_hello(word: &str) -> Result<Option<Vec<u8>>> {
    let mut words = word.split(' ');
    let kind = words.next().unwrap_or_default();
    if !["hello", "hello-ech", "hello-records"].contains(&kind) {
        return Ok(None);
    }
    let names = words.map(unescape).collect::<Result<Vec<_>>>()?;
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    Ok(Some(match kind {
        "hello-records" => hello_in_records(&names),
        _ => hello(&names, kind == "hello-ech"),
    }))
}

/// Whether a label of this text marks allowed content.
pub(crate) fn is_allowed(marker: &str) -> bool {
    CONTENTS
        .iter()
        .any(|content| content.allowed && content.marker() == marker)
}

/// Puts the corpus's own images beside those of the lab.
pub(crate) fn publish(lab: &Lab) -> Result<()> {
    for (content, image) in images()?.iter().filter(|(content, _)| content.own) {
        lab.docker_hub()
            .push(content.repository, content.tag, image)?;
    }
    Ok(())
}

/// Every image, made once: they are the same in every lab.
fn images() -> Result<&'static [(Content, Image)]> {
    static IMAGES: OnceLock<Vec<(Content, Image)>> = OnceLock::new();
    if let Some(images) = IMAGES.get() {
        return Ok(images);
    }
    let images = CONTENTS
        .iter()
        .map(|content| Ok((*content, Image::busybox(&content.marker())?)))
        .collect::<Result<_>>()?;
    Ok(IMAGES.get_or_init(|| images))
}

const fn content(
    word: &'static str,
    registry: &'static str,
    repository: &'static str,
    tag: &'static str,
    allowed: bool,
) -> Content {
    Content {
        word,
        registry,
        repository,
        tag,
        allowed,
        own: false,
    }
}

const fn own(word: &'static str, repository: &'static str) -> Content {
    Content {
        own: true,
        ..content(word, "docker.io", repository, "1", false)
    }
}

/// Every image, with what the base policy of the corpus says of it.
const CONTENTS: [Content; 11] = [
    content("alpine", "docker.io", "library/alpine", "3", true),
    content("other", "docker.io", "library/other", "latest", true),
    content("app", "docker.io", "acme/app", "1", true),
    content("grafana", "docker.io", "grafana/grafana", "1", true),
    content("evil", "docker.io", "evil/tool", "latest", false),
    content("ghcr", "ghcr.io", "acme/app", "1", false),
    content("thing", "ghcr.io", "other/thing", "1", false),
    own("lookalike", "acme-evil/app"),
    own("longer", "acmeevil/app"),
    own("beside", "grafana/evil"),
    own("suffixed", "grafana/grafana-evil"),
];

/// What `denied.example` serves.
const HELLO_FROM_DENIED: &str = "hello from denied.example";
