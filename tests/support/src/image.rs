//! Small images made while a test runs: busybox, and a marker that makes each its own.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::directory;

/// An image with one layer: `/bin/busybox`, its links, and `/marker`. Its tag stands for a manifest list, as an official image's does.
#[derive(Clone, Debug)]
pub struct Image {
    layer: Blob,
    config: Blob,
    manifest: Blob,
    list: Blob,
}

/// Content and its digest.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) content: Bytes,
    pub(crate) digest: String,
    media_type: &'static str,
}

// === impl Image ===

impl Image {
    /// An image whose `/marker` says `marker`. Equal markers make equal digests.
    ///
    /// # Errors
    ///
    /// When there is no busybox: `provision` has not been run.
    pub fn busybox(marker: &str) -> Result<Self> {
        let busybox = directory::root("bookworm")?.join("bin/busybox");
        let tar = tar(&busybox, marker).context("making a layer")?;
        let diff_id = digest(&tar);
        // Stored, not squeezed: a gigabyte a second, and gzip all the same.
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::none());
        std::io::Write::write_all(&mut gzip, &tar)?;
        let layer = Blob::new(LAYER, gzip.finish()?);
        let config = Blob::json(
            CONFIG,
            &json!({
                "architecture": architecture(),
                "os": "linux",
                "created": CREATED,
                "config": {
                    "Env": ["PATH=/bin"],
                    "Cmd": ["sh"],
                    "Labels": { "marker": marker },
                },
                "rootfs": { "type": "layers", "diff_ids": [diff_id] },
                "history": [{ "created": CREATED, "created_by": "ramgate lab" }],
            }),
        );
        let manifest = Blob::json(
            MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
            }),
        );
        let mut entry = manifest.descriptor();
        entry.insert(
            "platform".to_owned(),
            json!({ "architecture": architecture(), "os": "linux" }),
        );
        let list = Blob::json(
            LIST,
            &json!({ "schemaVersion": 2, "mediaType": LIST, "manifests": [entry] }),
        );
        Ok(Self {
            layer,
            config,
            manifest,
            list,
        })
    }

    /// A managed plugin with the same content, of no use but to be installed. Its tag stands for its manifest.
    ///
    /// # Errors
    ///
    /// As [`Self::busybox`].
    pub fn plugin(marker: &str) -> Result<Self> {
        let image = Self::busybox(marker)?;
        let rootfs = serde_json::from_slice::<Value>(&image.config.content)?
            .get("rootfs")
            .cloned();
        let config = Blob::json(
            PLUGIN_CONFIG,
            &json!({
                "description": marker,
                "interface": { "types": ["docker.volumedriver/1.0"], "socket": "plugin.sock" },
                "entrypoint": ["/bin/sleep", "60"],
                "network": { "type": "none" },
                "linux": { "capabilities": null },
                "rootfs": rootfs,
            }),
        );
        let manifest = Blob::json(
            MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor(),
                "layers": [image.layer.descriptor()],
            }),
        );
        Ok(Self {
            layer: image.layer,
            config,
            list: manifest.clone(),
            manifest,
        })
    }

    /// The digest that its tag stands for, in the registry and in `name@digest`: that of its manifest list.
    pub fn digest(&self) -> &str {
        &self.list.digest
    }

    /// The digest of the manifest that the list offers.
    pub fn manifest_digest(&self) -> &str {
        &self.manifest.digest
    }

    /// The digest of its config: its id in an engine without the containerd store.
    pub fn config_digest(&self) -> &str {
        &self.config.digest
    }

    /// The digest of its layer.
    pub fn layer_digest(&self) -> &str {
        &self.layer.digest
    }

    /// What its manifest names.
    pub(crate) fn blobs(&self) -> [&Blob; 2] {
        [&self.config, &self.layer]
    }

    pub(crate) fn manifest(&self) -> &Blob {
        &self.manifest
    }

    /// The manifest list that offers it for the machine's own architecture.
    pub(crate) fn list(&self) -> &Blob {
        &self.list
    }
}

// === impl Blob ===

impl Blob {
    fn new(media_type: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self {
            digest: digest(&content),
            content,
            media_type,
        }
    }

    fn json(media_type: &'static str, content: &Value) -> Self {
        Self::new(media_type, content.to_string())
    }

    pub(crate) fn media_type(&self) -> &'static str {
        self.media_type
    }

    fn descriptor(&self) -> Map<String, Value> {
        Map::from_iter([
            ("mediaType".to_owned(), self.media_type.into()),
            ("size".to_owned(), self.content.len().into()),
            ("digest".to_owned(), self.digest.as_str().into()),
        ])
    }
}

fn digest(content: &[u8]) -> String {
    let mut digest = "sha256:".to_owned();
    for byte in Sha256::digest(content) {
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

fn tar(busybox: &Path, marker: &str) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for directory in ["bin/", "etc/", "tmp/"] {
        tar.append_data(
            &mut header(tar::EntryType::Directory, 0o755, 0),
            directory,
            &[][..],
        )?;
    }
    let program = std::fs::read(busybox)?;
    let mut file = |path: &str, mode, content: &[u8]| {
        let mut header = header(tar::EntryType::Regular, mode, content.len() as u64);
        tar.append_data(&mut header, path, content)
    };
    file("bin/busybox", 0o755, &program)?;
    file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    file("marker", 0o644, marker.as_bytes())?;
    for applet in ["cat", "echo", "ls", "sh", "sleep", "true", "wget"] {
        tar.append_link(
            &mut header(tar::EntryType::Symlink, 0o777, 0),
            format!("bin/{applet}"),
            "busybox",
        )?;
    }
    tar.into_inner()
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// This machine's architecture in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const PLUGIN_CONFIG: &str = "application/vnd.docker.plugin.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const CREATED: &str = "2024-01-01T00:00:00Z";
