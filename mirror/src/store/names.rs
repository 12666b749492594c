//! Under which names things are kept; the same in a directory and in a bucket.

use ramgate_policy::{Digest, Repository};

/// What a repository's registry served there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Manifest,
    Blob,
}

// === impl Kind ===

impl Kind {
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Manifest => "_manifests",
            Self::Blob => "_blobs",
        }
    }
}

/// Where content is. The digits' beginning is a folder, so that no folder becomes large.
pub(crate) fn content(digest: &Digest) -> String {
    let encoded = digest.encoded();
    let fan = encoded.get(..2).unwrap_or(encoded);
    format!("{CONTENT}/{}/{fan}/{encoded}", digest.algorithm().name())
}

/// What says that the repository has it.
pub(crate) fn link(repository: &Repository, kind: Kind, digest: &Digest) -> String {
    format!(
        "{}/{}/{}/{}",
        folder(repository),
        kind.folder(),
        digest.algorithm().name(),
        digest.encoded()
    )
}

/// Where a tag's record is.
pub(crate) fn tag(repository: &Repository, tag: &str) -> String {
    format!("{}/{TAGS}/{tag}", folder(repository))
}

/// A path's components begin with a letter or digit, so none is `..`, and none meets the folders with an underscore.
fn folder(repository: &Repository) -> String {
    format!(
        "{REPOSITORIES}/{}/{}",
        repository.registry(),
        repository.path()
    )
}

/// The digest of the content that has this name.
pub(crate) fn digest(name: &str) -> Option<Digest> {
    let mut parts = name.rsplit('/');
    let (encoded, _, algorithm) = (parts.next()?, parts.next()?, parts.next()?);
    let digest: Digest = format!("{algorithm}:{encoded}").parse().ok()?;
    (content(&digest) == name).then_some(digest)
}

pub(crate) const CONTENT: &str = "blobs";
pub(crate) const REPOSITORIES: &str = "repositories";
pub(crate) const INCOMING: &str = "incoming";
pub(crate) const TAGS: &str = "_tags";
