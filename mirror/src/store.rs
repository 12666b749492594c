//! What is kept on disk.
//!
//! ```text
//! blobs/<algorithm>/<first two digits>/<digits>                    content, verified
//! repositories/<registry>/<path>/_manifests/<algorithm>/<digits>   its media type: the registry served it there
//! repositories/<registry>/<path>/_blobs/<algorithm>/<digits>       empty: the same for a blob
//! repositories/<registry>/<path>/_tags/<tag>                       where the tag pointed, and when
//! incoming/                                                        not yet verified
//! ```
//!
//! INVARIANT(verified): a file under `blobs/` came there by the rename of a file whose digest had been verified and that was
//! on disk. INVARIANT(linked): content is read only through the link of the repository under which it was asked for, with the
//! permit for it; that another repository has the same bytes counts for nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ramgate_policy::{Digest, Permit, Repository};
use ramgate_provenance::{Verified, Verifier};
use serde::{Deserialize, Serialize};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

/// The store in a directory.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    incoming: AtomicU64,
}

/// Where a tag pointed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TagRecord {
    digest: String,
    /// Seconds since 1970.
    checked: u64,
}

/// Content on its way in. Dropped before it is kept, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: File,
    path: PathBuf,
    verifier: Verifier,
    size: u64,
}

// === impl Store ===

impl Store {
    /// Opens the store, and makes it if it is not there. Nothing is scanned but what a dead process left half done.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        for folder in ["blobs", "repositories", "incoming"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        for entry in std::fs::read_dir(root.join("incoming"))? {
            let path = entry?.path();
            // A live mirror on the same directory would still be writing what it has just begun.
            let age = std::fs::metadata(&path)?
                .modified()?
                .elapsed()
                .unwrap_or_default();
            if age > ABANDONED {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Self {
            root: root.to_owned(),
            incoming: AtomicU64::new(0),
        })
    }

    /// Begins to take in content that should have `digest`.
    pub(crate) async fn begin(&self, digest: &Digest) -> io::Result<Incoming> {
        let number = self.incoming.fetch_add(1, Ordering::Relaxed);
        let path = self
            .root
            .join("incoming")
            .join(format!("{}-{number}", std::process::id()));
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .await?;
        Ok(Incoming {
            file,
            path,
            verifier: Verifier::new(digest),
            size: 0,
        })
    }

    /// Keeps content that was verified. The proof is asked for because nothing else may come under `blobs/`.
    pub(crate) async fn keep(&self, mut incoming: Incoming, verified: &Verified) -> io::Result<()> {
        incoming.file.flush().await?;
        incoming.file.sync_all().await?;
        let place = self.content(verified.digest());
        create_parent(&place).await?;
        fs::rename(&incoming.path, &place).await
    }

    /// The content of `digest`, if the permitted repository is known to have it: an open file and its size in bytes.
    pub(crate) async fn blob(
        &self,
        permit: &Permit,
        digest: &Digest,
    ) -> io::Result<Option<(File, u64)>> {
        if !fs::try_exists(self.link(permit.repository(), BLOBS, digest)).await? {
            return Ok(None);
        }
        self.open_content(digest).await
    }

    /// Whether the bytes are here, whoever they were fetched for.
    pub(crate) async fn has_content(&self, digest: &Digest) -> io::Result<bool> {
        fs::try_exists(self.content(digest)).await
    }

    /// Notes that the permitted repository has the blob.
    pub(crate) async fn link_blob(&self, permit: &Permit, digest: &Digest) -> io::Result<()> {
        write(&self.link(permit.repository(), BLOBS, digest), b"").await
    }

    /// A manifest of the permitted repository: its media type and bytes.
    pub(crate) async fn manifest(
        &self,
        permit: &Permit,
        digest: &Digest,
    ) -> io::Result<Option<(String, Vec<u8>)>> {
        let media_type =
            match fs::read_to_string(self.link(permit.repository(), MANIFESTS, digest)).await {
                Ok(media_type) => media_type,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
        match fs::read(self.content(digest)).await {
            Ok(bytes) => Ok(Some((media_type, bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes that the permitted repository has the manifest.
    pub(crate) async fn link_manifest(
        &self,
        permit: &Permit,
        digest: &Digest,
        media_type: &str,
    ) -> io::Result<()> {
        write(
            &self.link(permit.repository(), MANIFESTS, digest),
            media_type.as_bytes(),
        )
        .await
    }

    /// Where the tag pointed when it was last asked for.
    pub(crate) async fn tag(&self, permit: &Permit, tag: &str) -> io::Result<Option<TagRecord>> {
        match fs::read(self.tag_file(permit.repository(), tag)).await {
            // A record that cannot be read is none: the upstream is asked.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes where the tag points now.
    pub(crate) async fn set_tag(
        &self,
        permit: &Permit,
        tag: &str,
        record: &TagRecord,
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(record)?;
        write(&self.tag_file(permit.repository(), tag), &bytes).await
    }

    async fn open_content(&self, digest: &Digest) -> io::Result<Option<(File, u64)>> {
        match File::open(self.content(digest)).await {
            Ok(file) => {
                let size = file.metadata().await?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn content(&self, digest: &Digest) -> PathBuf {
        let encoded = digest.encoded();
        let fan = encoded.get(..2).unwrap_or(encoded);
        self.root
            .join("blobs")
            .join(digest.algorithm().name())
            .join(fan)
            .join(encoded)
    }

    fn link(&self, repository: &Repository, kind: &str, digest: &Digest) -> PathBuf {
        self.folder(repository)
            .join(kind)
            .join(digest.algorithm().name())
            .join(digest.encoded())
    }

    fn tag_file(&self, repository: &Repository, tag: &str) -> PathBuf {
        self.folder(repository).join("_tags").join(tag)
    }

    /// A path's components begin with a letter or digit, so none is `..`, and none meets the folders with an underscore.
    fn folder(&self, repository: &Repository) -> PathBuf {
        self.root
            .join("repositories")
            .join(repository.registry().to_string())
            .join(repository.path())
    }
}

// === impl TagRecord ===

impl TagRecord {
    pub(crate) fn new(digest: &Digest, now: SystemTime) -> Self {
        let checked = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            digest: digest.to_string(),
            checked,
        }
    }

    pub(crate) fn digest(&self) -> Option<Digest> {
        self.digest.parse().ok()
    }

    /// How long ago the upstream said so. A time in the future counts as long ago: the clock was set back.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        let checked = UNIX_EPOCH + Duration::from_secs(self.checked);
        now.duration_since(checked).unwrap_or(Duration::MAX)
    }
}

// === impl Incoming ===

impl Incoming {
    pub(crate) async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.verifier.update(chunk);
        self.size += chunk.len() as u64;
        self.file.write_all(chunk).await
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The proof that what came in is what its digest says, if it is.
    pub(crate) fn verify(&mut self) -> Option<Verified> {
        self.verifier.verify()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already if it was kept; else nothing may be left, and nobody can be told.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes a small file so that it is there whole or not at all.
async fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    create_parent(place).await?;
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // Tags begin with a letter, digit or underscore and links with a digit or letter, so this name is nobody's.
    let name = format!(".{}-{number}", std::process::id());
    let temporary = place.with_file_name(name);
    fs::write(&temporary, bytes).await?;
    fs::rename(&temporary, place).await
}

async fn create_parent(place: &Path) -> io::Result<()> {
    match place.parent() {
        Some(parent) => fs::create_dir_all(parent).await,
        None => Ok(()),
    }
}

const BLOBS: &str = "_blobs";
const MANIFESTS: &str = "_manifests";

/// A download that has not been written to for so long is nobody's any more; an upstream that is silent for 30 s is given up.
const ABANDONED: Duration = Duration::from_hours(1);
