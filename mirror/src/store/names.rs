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

/// What a name below [`REPOSITORIES`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    Link(Repository, Kind, Digest),
    Tag(Repository, String),
}

// === impl Note ===

impl Note {
    /// Reads a name; `None` for what has no such name, as what is being written just now.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(REPOSITORIES)?.strip_prefix('/')?;
        let (registry, rest) = rest.split_once('/')?;
        let (path, rest) = rest.split_once("/_")?;
        let repository = Repository::new(registry.parse().ok()?, path).ok()?;
        let (folder, rest) = rest.split_once('/')?;
        let kind = match folder {
            "tags" if !rest.contains('/') && !rest.starts_with('.') => {
                return Some(Self::Tag(repository, rest.to_owned()));
            }
            "manifests" => Kind::Manifest,
            "blobs" => Kind::Blob,
            _ => return None,
        };
        let digest = rest.replacen('/', ":", 1).parse().ok()?;
        Some(Self::Link(repository, kind, digest))
    }

    pub(crate) const fn repository(&self) -> &Repository {
        match self {
            Self::Link(repository, ..) | Self::Tag(repository, _) => repository,
        }
    }
}

pub(crate) const CONTENT: &str = "blobs";
pub(crate) const REPOSITORIES: &str = "repositories";
pub(crate) const INCOMING: &str = "incoming";
pub(crate) const TAGS: &str = "_tags";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let content_digest: Digest =
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
                .parse()
                .unwrap();
        assert_eq!(
            digest(&content(&content_digest)),
            Some(content_digest.clone())
        );
        assert_eq!(digest("blobs/sha256/00/e3b0"), None);
        for registry in ["docker.io", "localhost:5000", "[::1]:5000"] {
            let repository = Repository::new(registry.parse().unwrap(), "library/app").unwrap();
            for kind in [Kind::Manifest, Kind::Blob] {
                let note = Note::parse(&link(&repository, kind, &content_digest));
                let expected = Note::Link(repository.clone(), kind, content_digest.clone());
                assert_eq!(note, Some(expected));
            }
            let note = Note::parse(&tag(&repository, "_3.1"));
            assert_eq!(note, Some(Note::Tag(repository, "_3.1".to_owned())));
        }
        assert_eq!(Note::parse("repositories/docker.io/a/_tags/.tmp"), None);
        assert_eq!(
            Note::parse("repositories/docker.io/a/_blobs/sha256/.tmp"),
            None
        );
    }
}
