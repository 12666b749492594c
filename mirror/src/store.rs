//! What is kept, in a directory or in a bucket.
//!
//! ```text
//! blobs/<algorithm>/<first two digits>/<digits>                    content, verified
//! repositories/<registry>/<path>/_manifests/<algorithm>/<digits>   its media type: the registry served it there
//! repositories/<registry>/<path>/_blobs/<algorithm>/<digits>       empty: the same for a blob
//! repositories/<registry>/<path>/_tags/<tag>                       where the tag pointed, and when
//! incoming/                                                        not yet verified; always on a local disk
//! ```
//!
//! INVARIANT(verified): what is under `blobs/` came there whole and in one step, by the rename of a file that was on disk or by
//! an upload, after its digest had been verified. INVARIANT(linked): content is read only through the link of the repository
//! under which it was asked for, with the permit for it; that another repository has the same bytes counts for nothing.

mod bucket;
mod content;
mod disk;
mod incoming;
pub(crate) mod names;
mod object;
mod pieces;
mod tag_record;
mod walk;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::body::Bytes;
use ramgate_policy::{Digest, Permit};
use ramgate_provenance::Verified;

pub(crate) use bucket::Bucket;
pub(crate) use content::Content;
pub(crate) use disk::{Disk, blocking};
pub(crate) use incoming::{ABANDONED, Incoming, sweep};
pub(crate) use names::Kind;
use pieces::Pieces;
pub(crate) use pieces::Seat;
pub(crate) use tag_record::TagRecord;
pub(crate) use walk::Entry;

use crate::storage::Place;

/// What is kept.
#[derive(Debug)]
pub(crate) struct Store {
    backend: Backend,
    incoming: PathBuf,
    pieces: Arc<Pieces>,
    /// The folders that content came into and that nobody has looked at since; see `upkeep/limit.rs`.
    fresh: Mutex<BTreeSet<PathBuf>>,
}

/// Where it is kept.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    Disk(Disk),
    Bucket(Bucket),
}

// === impl Store ===

impl Store {
    /// Opens the store, and makes it if it is not there. Nothing is scanned but what a dead process left half done.
    pub(crate) fn open(place: &Place) -> io::Result<Self> {
        let backend = Backend::open(place)?;
        let incoming = match place {
            Place::Directory(root) => root.join(names::INCOMING),
            Place::Bucket(bucket) => bucket.spool.clone(),
        };
        std::fs::create_dir_all(&incoming)?;
        sweep(&incoming)?;
        Ok(Self {
            backend,
            incoming,
            pieces: Arc::default(),
            fresh: Mutex::default(),
        })
    }

    /// Begins to take in content that should have `digest`.
    pub(crate) async fn begin(&self, digest: &Digest) -> io::Result<Incoming> {
        let (folder, digest) = (self.incoming.clone(), digest.clone());
        blocking(move || Incoming::begin(&folder, &digest)).await
    }

    /// What of `incoming` has arrived, as content of `size` bytes.
    pub(crate) fn arriving(&self, incoming: &Incoming, size: u64) -> Content {
        Content::file(incoming.file(), size, Arc::clone(&self.pieces))
    }

    /// Keeps content that was verified. The proof is asked for because nothing else may come under `blobs/`.
    pub(crate) async fn keep(&self, incoming: Incoming, verified: &Verified) -> io::Result<()> {
        let name = names::content(verified.digest());
        match &self.backend {
            Backend::Disk(disk) => {
                disk.adopt(&name, incoming.file(), incoming.path.clone())
                    .await?;
                if let Some(folder) = disk.path(&name).parent() {
                    self.fresh().insert(folder.to_owned());
                }
                Ok(())
            }
            Backend::Bucket(bucket) => bucket.adopt(&name, incoming.file(), incoming.size()).await,
        }
    }

    /// Keeps a manifest that was verified, and notes that the permitted repository has it.
    pub(crate) async fn keep_manifest(
        &self,
        permit: &Permit,
        verified: &Verified,
        media_type: &str,
        bytes: Bytes,
    ) -> io::Result<()> {
        let mut incoming = self.begin(verified.digest()).await?;
        let incoming = blocking(move || incoming.write(&[bytes]).map(|()| incoming)).await?;
        self.keep(incoming, verified).await?;
        self.link_manifest(permit, verified.digest(), media_type)
            .await
    }

    /// The content of `digest`, if the permitted repository is known to have it.
    pub(crate) async fn blob(
        &self,
        permit: &Permit,
        digest: &Digest,
    ) -> io::Result<Option<Content>> {
        let link = names::link(permit.repository(), Kind::Blob, digest);
        let (name, pieces) = (names::content(digest), Arc::clone(&self.pieces));
        match &self.backend {
            Backend::Disk(disk) => disk.linked(&link, &name, pieces, wall_clock()).await,
            Backend::Bucket(bucket) => bucket.linked(&link, &name, pieces).await,
        }
    }

    /// Whether the permitted repository is known to have the blob, wherever its bytes are.
    pub(crate) async fn has_link(&self, permit: &Permit, digest: &Digest) -> io::Result<bool> {
        let link = names::link(permit.repository(), Kind::Blob, digest);
        self.backend.exists(&link).await
    }

    /// Whether the bytes are here, whoever they were fetched for.
    pub(crate) async fn has_content(&self, digest: &Digest) -> io::Result<bool> {
        self.backend.exists(&names::content(digest)).await
    }

    /// Notes that the permitted repository has the blob.
    pub(crate) async fn link_blob(&self, permit: &Permit, digest: &Digest) -> io::Result<()> {
        let link = names::link(permit.repository(), Kind::Blob, digest);
        self.backend.write(&link, Bytes::new()).await
    }

    /// A manifest of the permitted repository: its media type and bytes.
    pub(crate) async fn manifest(
        &self,
        permit: &Permit,
        digest: &Digest,
    ) -> io::Result<Option<(String, Vec<u8>)>> {
        let link = names::link(permit.repository(), Kind::Manifest, digest);
        let media_type = self.backend.read(&link).await?;
        let media_type = media_type.and_then(|bytes| String::from_utf8(bytes.into()).ok());
        // Links are not waited for until they are on disk: a loss of power may leave one empty.
        let Some(media_type) = media_type.filter(|media_type| !media_type.is_empty()) else {
            return Ok(None);
        };
        let (name, pieces) = (names::content(digest), Arc::clone(&self.pieces));
        let content = match &self.backend {
            Backend::Disk(disk) => disk.open_content(&name, pieces, wall_clock()).await?,
            Backend::Bucket(bucket) => bucket.open_content(&name, pieces).await?,
        };
        match content {
            // It is verified by who asks.
            Some(content) => Ok(Some((media_type, content.unchecked().whole().await?))),
            None => Ok(None),
        }
    }

    /// Notes that the permitted repository has the manifest.
    pub(crate) async fn link_manifest(
        &self,
        permit: &Permit,
        digest: &Digest,
        media_type: &str,
    ) -> io::Result<()> {
        let link = names::link(permit.repository(), Kind::Manifest, digest);
        let bytes = Bytes::copy_from_slice(media_type.as_bytes());
        self.backend.write(&link, bytes).await
    }

    /// Where the tag pointed when it was last asked for.
    pub(crate) async fn tag(&self, permit: &Permit, tag: &str) -> io::Result<Option<TagRecord>> {
        let bytes = self
            .backend
            .read(&names::tag(permit.repository(), tag))
            .await?;
        // A record that cannot be read is none: the upstream is asked.
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Notes where the tag points now.
    pub(crate) async fn set_tag(
        &self,
        permit: &Permit,
        tag: &str,
        record: &TagRecord,
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(record)?;
        let name = names::tag(permit.repository(), tag);
        self.backend.write(&name, bytes.into()).await
    }

    /// The folders that content came into since the last time.
    pub(crate) fn take_fresh(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut *self.fresh())
    }

    fn fresh(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn backend(&self) -> &Backend {
        &self.backend
    }
}

// === impl Backend ===

impl Backend {
    pub(crate) fn open(place: &Place) -> io::Result<Self> {
        Ok(match place {
            Place::Directory(root) => Self::Disk(Disk::open(root)?),
            Place::Bucket(bucket) => Self::Bucket(Bucket::open(bucket)?),
        })
    }

    /// Shows every thing below `folder` to `each`.
    pub(crate) async fn walk(
        &self,
        folder: &str,
        each: &mut (dyn FnMut(Entry) + Send),
    ) -> io::Result<()> {
        match self {
            Self::Disk(disk) => disk.walk(folder, each),
            Self::Bucket(bucket) => bucket.walk(folder, each).await,
        }
    }

    /// The content under `name`, without a note that it was asked for and unchecked.
    pub(crate) async fn inspect(&self, name: &str) -> io::Result<Option<Content>> {
        match self {
            Self::Disk(disk) => disk.inspect(name),
            Self::Bucket(bucket) => {
                let content = bucket.open_content(name, Arc::default()).await?;
                Ok(content.map(Content::unchecked))
            }
        }
    }

    pub(crate) async fn read(&self, name: &str) -> io::Result<Option<Bytes>> {
        match self {
            Self::Disk(disk) => disk.read(name).await,
            Self::Bucket(bucket) => bucket.read(name).await,
        }
    }

    async fn write(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::Disk(disk) => disk.write(name, bytes).await,
            Self::Bucket(bucket) => bucket.write(name, bytes).await,
        }
    }

    async fn exists(&self, name: &str) -> io::Result<bool> {
        match self {
            Self::Disk(disk) => disk.exists(name).await,
            Self::Bucket(bucket) => bucket.exists(name).await,
        }
    }

    pub(crate) async fn remove(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Disk(disk) => disk.remove(name).await,
            Self::Bucket(bucket) => bucket.remove(name).await,
        }
    }
}

/// When content was last asked for outlives the process, so it is told by the wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the store; what depends on it takes it as an argument"
)]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}
