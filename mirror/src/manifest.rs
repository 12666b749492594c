//! Manifests: which media types are served, and which manifests are refused for what they say.
//!
//! They are handed on byte for byte. What is read here is only what could make the engine fetch past this mirror.

use ramgate_policy::Digest;
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use crate::ambiguity;

/// A manifest that was verified and may be served.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: bytes::Bytes,
    /// The digest of the config that it names, if it is one of an image or artifact.
    pub(crate) config: Option<Digest>,
}

/// Why a manifest is not served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidManifest {
    /// Not one of [`MEDIA_TYPES`].
    #[error(
        "the upstream answered with media type `{0}`, which is no manifest of a supported kind"
    )]
    MediaType(String),
    /// Docker's first format, which names no digests of its content.
    #[error(
        "the image has a manifest of schema 1, which cannot be verified; push it again with a current client"
    )]
    Schema1,
    /// Layers that the engine would fetch from elsewhere.
    #[error("the manifest names layers at other places (`urls`), which no gate would see")]
    ForeignLayers,
    /// Two readers could read it differently.
    #[error(
        "the manifest could be read in two ways: a key stands twice or is nearly one that has a meaning, or it is an index and an image at once"
    )]
    Ambiguous,
    /// No JSON, or not the JSON of a manifest.
    #[error("the manifest cannot be read")]
    Unreadable,
}

/// The part of a manifest or index that bears on where its content is.
#[derive(Deserialize)]
struct Outline {
    #[serde(rename = "schemaVersion")]
    schema_version: Option<u64>,
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    config: Option<Descriptor>,
    subject: Option<Descriptor>,
    // Go writes `null` for a list that nobody made.
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    #[serde(rename = "fsLayers")]
    schema1_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    urls: Option<Vec<String>>,
}

// === impl Manifest ===

impl Manifest {
    /// Accepts a manifest that came with `content_type`.
    pub(crate) fn new(content_type: &str, bytes: bytes::Bytes) -> Result<Self, InvalidManifest> {
        let media_type = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if SCHEMA1.contains(&media_type.as_str()) {
            return Err(InvalidManifest::Schema1);
        }
        if !MEDIA_TYPES.contains(&media_type.as_str()) {
            return Err(InvalidManifest::MediaType(media_type));
        }
        let outline: Outline =
            serde_json::from_slice(&bytes).map_err(|_| InvalidManifest::Unreadable)?;
        if outline.schema_version != Some(2) {
            return Err(InvalidManifest::Schema1);
        }
        // A body that says it is something else than its header would be read by the engine as what it says.
        if outline
            .media_type
            .as_ref()
            .is_some_and(|said| *said != media_type)
        {
            return Err(InvalidManifest::Unreadable);
        }
        if outline.is_of_two_kinds(&media_type) || !ambiguity::is_plain(&bytes) {
            return Err(InvalidManifest::Ambiguous);
        }
        let lists = [&outline.layers, &outline.manifests, &outline.blobs];
        let descriptors = outline
            .config
            .iter()
            .chain(&outline.subject)
            .chain(lists.into_iter().flatten().flatten());
        for descriptor in descriptors {
            let elsewhere = descriptor
                .urls
                .as_ref()
                .is_some_and(|urls| !urls.is_empty());
            if elsewhere
                || descriptor.media_type.contains(".foreign.")
                || descriptor.media_type.contains("nondistributable")
            {
                return Err(InvalidManifest::ForeignLayers);
            }
        }
        let config = outline.config.and_then(|config| config.digest.parse().ok());
        Ok(Self {
            media_type,
            bytes,
            config,
        })
    }
}

// === impl Outline ===

impl Outline {
    /// Whether it has what only the other kind has: an index's list in a manifest, or a manifest's content in an index
    /// (CVE-2021-41190).
    fn is_of_two_kinds(&self, media_type: &str) -> bool {
        let is_index = INDEXES.contains(&media_type);
        let of_index = self.manifests.is_some();
        let of_manifest =
            self.config.is_some() || self.layers.is_some() || self.schema1_layers.is_some();
        if is_index {
            of_manifest
        } else {
            of_index || self.schema1_layers.is_some()
        }
    }
}

/// The media types of manifests that name manifests.
pub(crate) const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Everything that is asked for and served. Asked for whole each time: a cache must not depend on who asked first.
pub(crate) const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

const SCHEMA1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Largest manifest that is taken. The distribution spec wants at least 4 MiB to work (`spec.md`, pushing manifests), and it
/// is held in memory.
pub(crate) const SIZE_MAX_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const OCI: &str = MEDIA_TYPES[1];

    #[track_caller]
    fn check(content_type: &str, body: &str, expected: &Result<(), InvalidManifest>) {
        let bytes = bytes::Bytes::from(body.to_owned());
        assert_eq!(
            &Manifest::new(content_type, bytes).map(|_| ()),
            expected,
            "{body}"
        );
    }

    #[test]
    fn manifests_of_the_known_kinds_pass_untouched() {
        check(
            OCI,
            r#"{"schemaVersion":2,"config":{"mediaType":"a"},"layers":[{"mediaType":"b"}]}"#,
            &Ok(()),
        );
        check(
            "application/vnd.oci.image.index.v1+json; charset=utf-8",
            r#"{"schemaVersion":2,"manifests":[]}"#,
            &Ok(()),
        );
        check(
            OCI,
            r#"{"schemaVersion":2,"layers":[{"mediaType":"b","urls":[]}]}"#,
            &Ok(()),
        );
    }

    #[test]
    fn content_from_elsewhere_is_refused() {
        let foreign = Err(InvalidManifest::ForeignLayers);
        check(
            OCI,
            r#"{"schemaVersion":2,"layers":[{"mediaType":"b","urls":["https://x.example/l"]}]}"#,
            &foreign,
        );
        check(
            OCI,
            r#"{"schemaVersion":2,"config":{"urls":["https://x.example/c"]}}"#,
            &foreign,
        );
        let windows = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        check(
            OCI,
            &format!(r#"{{"schemaVersion":2,"layers":[{{"mediaType":"{windows}"}}]}}"#),
            &foreign,
        );
        check(
            OCI,
            r#"{"schemaVersion":2,"subject":{"urls":["https://x.example/s"]}}"#,
            &foreign,
        );
    }

    #[test]
    fn artifacts_and_layers_of_any_kind_pass_untouched() {
        for body in [
            r#"{"schemaVersion":2,"artifactType":"application/vnd.example.sbom","config":{"mediaType":"application/vnd.oci.empty.v1+json"},"layers":[{"mediaType":"application/spdx+json"}],"subject":{"mediaType":"a","digest":"b"}}"#,
            r#"{"schemaVersion":2,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd"},{"mediaType":"application/vnd.wasm.content.layer.v1+wasm"}]}"#,
            r#"{"schemaVersion":2,"layers":null}"#,
        ] {
            let bytes = bytes::Bytes::from(body);
            assert_eq!(Manifest::new(OCI, bytes).unwrap().bytes, body);
        }
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        let ambiguous = Err(InvalidManifest::Ambiguous);
        for body in [
            r#"{"schemaVersion":2,"layers":[],"Layers":[{"urls":["https://x.example/l"]}]}"#,
            r#"{"schemaVersion":2,"layers":[{"mediaType":"b","URLS":["https://x.example/l"]}]}"#,
            r#"{"schemaVersion":2,"annotations":{"a":"1","a":"2"}}"#,
            r#"{"schemaVersion":2,"layers":[],"manifests":[{"mediaType":"c"}]}"#,
            r#"{"schemaVersion":2,"layers":[],"fsLayers":[{"blobSum":"d"}]}"#,
        ] {
            check(OCI, body, &ambiguous);
        }
        for body in [
            r#"{"schemaVersion":2,"manifests":[],"layers":[{"mediaType":"b"}]}"#,
            r#"{"schemaVersion":2,"manifests":[],"config":{"mediaType":"b"}}"#,
        ] {
            check(INDEXES[0], body, &ambiguous);
        }
    }

    #[test]
    fn a_manifest_that_could_be_read_in_two_ways_is_refused() {
        let index = MEDIA_TYPES[0];
        for (media_type, body) in [
            (OCI, r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#),
            (OCI, r#"{"schemaVersion":2,"layers":[],"fsLayers":[]}"#),
            (index, r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#),
            (index, r#"{"schemaVersion":2,"config":{},"manifests":[]}"#),
            (MEDIA_TYPES[2], r#"{"schemaVersion":2,"config":{}}"#),
            (
                OCI,
                r#"{"schemaVersion":2,"layers":[{"mediaType":"b","URLs":["https://x.example/l"]}]}"#,
            ),
            (OCI, r#"{"schemaVersion":2,"layers":[],"Layers":[]}"#),
        ] {
            check(media_type, body, &Err(InvalidManifest::Ambiguous));
        }
        let twice = r#"{"schemaVersion":2,"layers":[],"layers":[]}"#;
        check(OCI, twice, &Err(InvalidManifest::Unreadable));
    }

    #[test]
    fn other_formats_are_refused_with_their_reason() {
        check(SCHEMA1[1], "{}", &Err(InvalidManifest::Schema1));
        check(
            OCI,
            r#"{"schemaVersion":1}"#,
            &Err(InvalidManifest::Schema1),
        );
        check(
            "text/html",
            "<html>",
            &Err(InvalidManifest::MediaType("text/html".to_owned())),
        );
        check(OCI, "not json", &Err(InvalidManifest::Unreadable));
        check(
            OCI,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"}"#,
            &Err(InvalidManifest::Unreadable),
        );
    }
}
