//! Images as the engine describes them.

use jiff::Timestamp;
use ramgate_policy::{Digest, Repository};
use serde::Deserialize;

/// `GET /images/{name}/json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Image {
    /// The digest of its config, or in the containerd store of its manifest or index.
    pub(crate) id: Digest,
    repo_digests: Option<Vec<String>>,
    repo_tags: Option<Vec<String>>,
    #[serde(default, rename = "RootFS")]
    root: Root,
    #[serde(default)]
    metadata: Metadata,
}

/// An entry of `GET /images/json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedImage {
    pub(crate) id: Digest,
    repo_tags: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Root {
    layers: Option<Vec<Digest>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Metadata {
    last_tag_time: Option<String>,
}

// === impl ListedImage ===

impl ListedImage {
    /// Its first name, or its ID.
    pub(crate) fn name(&self) -> &str {
        let names = self.repo_tags.iter().flatten().map(String::as_str);
        named(names).next().unwrap_or(self.id.as_str())
    }
}

// === impl Image ===

impl Image {
    /// The digests of its uncompressed layers, lowest first.
    pub(crate) fn layers(&self) -> &[Digest] {
        self.root.layers.as_deref().unwrap_or_default()
    }

    /// The repositories of its names with a digest. In a graphdriver store each is proof of a pull or push; in the containerd
    /// store every name has one.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = Repository> {
        let names = self.repo_digests.iter().flatten();
        names.filter_map(|name| name.parse().ok())
    }

    /// Whether it was given no name after `time`, in nanoseconds since 1970. For the containerd store, where a pull gives one as
    /// well.
    pub(crate) fn was_named_by(&self, time: u64) -> bool {
        let named = self.metadata.last_tag_time.as_deref();
        let named = named.and_then(|named| named.parse::<Timestamp>().ok());
        named.is_some_and(|named| named.as_nanosecond() <= i128::from(time))
    }

    /// The names that it goes by, which may be none.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        named(self.repo_tags.iter().flatten().map(String::as_str))
    }
}

/// Older engines write `<none>:<none>` for no name.
fn named<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    names.filter(|name| !name.starts_with("<none>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_what_it_consists_of() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let image: Image = serde_json::from_str(&format!(
            r#"{{"Id":"{digest}","RepoTags":["a:1","<none>:<none>"],"RepoDigests":["ghcr.io/acme/app@{digest}","<none>@<none>"],
                "RootFS":{{"Type":"layers","Layers":["{digest}"]}},"Size":1}}"#
        ))
        .unwrap();
        assert_eq!(image.tags().collect::<Vec<_>>(), ["a:1"]);
        let repositories: Vec<String> = image.repositories().map(String::from).collect();
        assert_eq!(repositories, ["ghcr.io/acme/app"]);
        assert_eq!(image.layers().len(), 1);
        assert!(!image.was_named_by(u64::MAX));
        let named: Image = serde_json::from_str(&format!(
            r#"{{"Id":"{digest}","Metadata":{{"LastTagTime":"1970-01-01T01:00:01.5+01:00"}}}}"#
        ))
        .unwrap();
        assert!(named.was_named_by(1_500_000_000) && !named.was_named_by(1_499_999_999));
        let bare: Image =
            serde_json::from_str(&format!(r#"{{"Id":"{digest}","RepoDigests":null}}"#)).unwrap();
        assert!(bare.layers().is_empty());
    }
}
