//! What is known of one image: how it came to be on this host, and from where.

use std::collections::BTreeSet;
use std::fmt;

use ramgate_policy::{Digest, LocalImage, Repository};
use serde::{Deserialize, Serialize};

/// What is known of one image. Its key is the image ID: what is known holds for the content, whatever it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// How it came.
    pub way: Way,
    /// The repositories that it was pulled from, or that are known to have it.
    #[serde(default)]
    pub origins: BTreeSet<Repository>,
    /// When it was first seen, in seconds since 1970.
    pub since: u64,
    /// Who asked for it, where that is known.
    #[serde(default)]
    pub by: Option<String>,
    /// The name under which it came, as the engine said it.
    #[serde(default)]
    pub name: Option<String>,
    /// The digests of its uncompressed layers, lowest first.
    #[serde(default)]
    pub layers: Vec<Digest>,
    /// What it was made from: for images that were built or committed.
    #[serde(default)]
    pub base: Base,
    /// Whether mirror and egress gate were in force when it came.
    #[serde(default)]
    pub gated: bool,
}

/// How an image came to be on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// An administrator vouched for it.
    Adopt,
    /// It came in no other way while the engine was watched, so it was built.
    Build,
    /// A container was committed.
    Commit,
    /// A tar archive of a root was imported.
    Import,
    /// An archive of images was loaded.
    Load,
    /// It was pulled from its origins.
    Pull,
    /// It was there before anyone watched.
    Unknown,
}

/// The known content with the longest chain of layers that an image begins with. Empty where there is none: built from
/// scratch, or from what was never seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Base {
    /// Images with this chain.
    #[serde(default)]
    pub images: BTreeSet<Digest>,
    /// Repositories that have an image with this chain.
    #[serde(default)]
    pub repositories: BTreeSet<Repository>,
}

// === impl Record ===

impl Record {
    /// The record of an image that came in this way at `since`, of which nothing else is known yet.
    #[must_use]
    pub fn new(way: Way, since: u64) -> Self {
        Self {
            way,
            origins: BTreeSet::new(),
            since,
            by: None,
            name: None,
            layers: Vec::new(),
            base: Base::default(),
            gated: false,
        }
    }

    /// Adds what another record of the same image knows.
    ///
    /// Evidence goes before the conclusion that an image was built, and that before not knowing; of two pieces of evidence the
    /// later counts. Origins add up.
    pub fn merge(&mut self, later: Self) {
        let Self {
            way,
            origins,
            since,
            by,
            name,
            layers,
            base,
            gated,
        } = later;
        if way.weight() >= self.way.weight() {
            self.way = way;
            self.gated = gated;
            self.name = name.or_else(|| self.name.take());
            self.base = base;
        }
        self.origins.extend(origins);
        self.since = self.since.min(since);
        self.by = self.by.take().or(by);
        if self.layers.is_empty() {
            self.layers = layers;
        }
    }
}

// === impl Way ===

impl Way {
    /// What the policy calls images that came in this way, where their origins do not decide; none for those that an
    /// administrator vouched for.
    #[must_use]
    pub const fn local(self) -> Option<LocalImage> {
        match self {
            Self::Build => Some(LocalImage::Build),
            Self::Commit => Some(LocalImage::Commit),
            Self::Import => Some(LocalImage::Import),
            Self::Load => Some(LocalImage::Load),
            // A pull from nowhere is none.
            Self::Pull | Self::Unknown => Some(LocalImage::Unknown),
            Self::Adopt => None,
        }
    }

    /// Its name in the ledger's listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Build => "build",
            Self::Commit => "commit",
            Self::Import => "import",
            Self::Load => "load",
            Self::Pull => "pull",
            Self::Unknown => "unknown",
        }
    }

    const fn weight(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Build => 1,
            Self::Commit | Self::Import | Self::Load | Self::Pull | Self::Adopt => 2,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

// === impl Base ===

impl Base {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.repositories.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_goes_before_conclusions_and_origins_add_up() {
        let mut record = Record::new(Way::Unknown, 20);
        record.merge(Record::new(Way::Build, 30));
        assert_eq!(record.way, Way::Build);
        let mut pulled = Record::new(Way::Pull, 10);
        pulled.origins.insert("alpine".parse().unwrap());
        record.merge(pulled);
        assert_eq!((record.way, record.since), (Way::Pull, 10));
        record.merge(Record::new(Way::Build, 40));
        assert_eq!(record.way, Way::Pull);
        record.merge(Record::new(Way::Load, 50));
        assert_eq!(record.way, Way::Load);
        assert_eq!(record.origins.len(), 1);
    }

    #[test]
    fn records_are_written_as_they_are_read() {
        let mut record = Record::new(Way::Commit, 1);
        record.origins.insert("ghcr.io/acme/app".parse().unwrap());
        record.base.repositories.insert("alpine".parse().unwrap());
        record.by = Some("alice".to_owned());
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
