//! What came of judging, and what is said of it.

use std::sync::Arc;

use ramgate_policy::{Denial, Digest, Grant};
use ramgate_provenance::{Record, Way};

/// An image that was judged.
#[derive(Clone, Debug)]
pub(crate) struct JudgedImage {
    /// The name it was asked for by.
    pub(crate) name: String,
    /// Its ID; `None` for a container that was made from no image, and for a mount of which it was not seen.
    pub(crate) id: Option<Digest>,
    /// Whether it is mounted into a container, rather than its root.
    pub(crate) mounted: bool,
    pub(crate) record: Arc<Record>,
    pub(crate) verdict: Result<Grant, Vec<Denial>>,
}

/// A container whose images were judged.
#[derive(Clone, Debug)]
pub(crate) struct JudgedContainer {
    /// Its full ID.
    pub(crate) id: String,
    /// When it was last started, in nanoseconds since 1970.
    pub(crate) started: Option<u64>,
    pub(crate) images: Vec<JudgedImage>,
}

// === impl JudgedImage ===

impl JudgedImage {
    /// What it is, for who asked for it by a name that does not say so; `None` where the name does.
    pub(crate) fn explanation(&self) -> Option<String> {
        let record = &self.record;
        if self.mounted && self.id.is_none() {
            let name = shown(&self.name);
            return Some(format!(
                "`{name}` is mounted into the container, and it was not seen which image that name stood for when the container was \
                 made: make the container anew"
            ));
        }
        let named = self.name.parse().ok();
        if named.is_some_and(|named| record.origins.contains(&named)) {
            return None;
        }
        let id = self.id.as_ref().map_or_else(String::new, |id| {
            let short = id.encoded().get(..SHORT_ID).unwrap_or_default();
            format!(" is image {short},")
        });
        let came = match record.way {
            _ if !record.origins.is_empty() => format!("from {}", listed(&record.origins)),
            Way::Build if record.base.is_empty() => "built on this host".to_owned(),
            Way::Build => format!("built on {}", self.base()),
            Way::Commit => format!("committed on {}", self.base()),
            Way::Import => "imported".to_owned(),
            Way::Load => "loaded".to_owned(),
            Way::Adopt => "adopted".to_owned(),
            Way::Pull | Way::Unknown => {
                "of which it is not known where it came from; an administrator can vouch for it \
                 with `ramgate ledger adopt`"
                    .to_owned()
            }
        };
        Some(format!("`{}`{id} {came}", shown(&self.name)))
    }

    fn base(&self) -> String {
        let base = &self.record.base;
        if base.repositories.is_empty() {
            listed(base.images.iter().map(|image| {
                format!(
                    "image {}",
                    image.encoded().get(..SHORT_ID).unwrap_or_default()
                )
            }))
        } else {
            listed(&base.repositories)
        }
    }
}

// === impl JudgedContainer ===

impl JudgedContainer {
    /// Every denial that stands against it.
    pub(crate) fn denials(&self) -> impl Iterator<Item = &Denial> {
        self.images
            .iter()
            .filter_map(|image| image.verdict.as_ref().err())
            .flatten()
    }
}

/// The first few, for a message.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let shown = all.get(..LISTED_MAX).unwrap_or(&all).join(", ");
    match all.len().checked_sub(LISTED_MAX) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

fn shown(name: &str) -> String {
    name.chars()
        .filter(|letter| !letter.is_control())
        .take(NAME_SHOWN_MAX)
        .collect()
}

/// As docker shows IDs.
const SHORT_ID: usize = 12;
const LISTED_MAX: usize = 3;
/// Longer than any reference that is one.
const NAME_SHOWN_MAX: usize = 300;
