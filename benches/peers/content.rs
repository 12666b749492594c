//! What is served: an image with one large layer, laid out as docker-registry keeps it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// An image that lies in a store.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) manifest_digest: String,
    pub(crate) blob_digest: String,
}

// === impl Content ===

impl Content {
    /// Makes the image and puts it into the store at `storage`; and the bare files into `files`, as `manifest` and `blob`.
    pub(crate) fn make(storage: &Path, files: &Path) -> Result<Self> {
        let layer = noise();
        let config =
            br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let describe = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "size": bytes.len(), "digest": digest(bytes) });
        let manifest: Value = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": describe("application/vnd.docker.container.image.v1+json", config),
            "layers": [describe("application/vnd.docker.image.rootfs.diff.tar.gzip", &layer)],
        });
        let manifest = manifest.to_string();
        fs::create_dir_all(files)?;
        fs::write(files.join("manifest"), &manifest)?;
        fs::write(files.join("blob"), &layer)?;

        let root = storage.join("docker/registry/v2");
        let repository = root.join("repositories").join(REPOSITORY);
        for blob in [&layer, config.as_slice()] {
            let digest = keep(&root, blob)?;
            link(&repository.join("_layers"), &digest)?;
        }
        let manifest_digest = keep(&root, manifest.as_bytes())?;
        let manifests = repository.join("_manifests");
        link(&manifests.join("revisions"), &manifest_digest)?;
        link(&manifests.join("tags/latest/index"), &manifest_digest)?;
        write(
            &manifests.join("tags/latest/current/link"),
            manifest_digest.as_bytes(),
        )?;
        Ok(Self {
            manifest_digest,
            blob_digest: digest(&layer),
        })
    }
}

/// The name under which it is served.
pub(crate) const REPOSITORY: &str = "library/alpine";
/// A large layer, as those of programming languages and browsers are.
pub(crate) const BLOB_BYTES: u64 = 512 * 1024 * 1024;
pub(crate) const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Where docker-registry keeps the bytes of `digest`, below its storage.
pub(crate) fn blob_path(digest: &str) -> String {
    let hex = digest.trim_start_matches("sha256:");
    let start: String = hex.chars().take(2).collect();
    format!("docker/registry/v2/blobs/sha256/{start}/{hex}/data")
}

fn keep(root: &Path, bytes: &[u8]) -> Result<String> {
    let digest = digest(bytes);
    let path = blob_path(&digest);
    write(
        &root.join(path.trim_start_matches("docker/registry/v2/")),
        bytes,
    )?;
    Ok(digest)
}

fn link(folder: &Path, digest: &str) -> Result<()> {
    write(
        &folder.join(digest.replace(':', "/")).join("link"),
        digest.as_bytes(),
    )
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, bytes)?)
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut digest = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

/// Bytes that no file system squeezes, the same ones every time.
pub(crate) fn noise() -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    (0..BLOB_BYTES / 8)
        .flat_map(|_| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect()
}
