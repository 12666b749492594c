//! Things in a bucket of an object store. Any number of mirrors may use it at once.
//!
//! No locks: an object is put under its name in one step, and only content that was verified is put at all. A mirror that dies
//! while it uploads leaves parts that no name leads to; a lifecycle rule of the bucket removes them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use axum::body::Bytes;
use moka::sync::Cache;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart};

use super::content::Content;
use super::disk::blocking;
use super::pieces::Pieces;
use crate::storage::BucketPlace;

/// A bucket, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Links that were seen: they are asked for at every request and only `gc` takes one away.
    links: Cache<String, ()>,
}

// === impl Bucket ===

impl Bucket {
    pub(crate) fn open(place: &BucketPlace) -> io::Result<Self> {
        let (store, prefix) =
            object_store::parse_url_opts(&place.url, place.options.clone()).map_err(failed)?;
        Ok(Self {
            store: store.into(),
            prefix,
            links: Cache::new(LINKS_MAX),
        })
    }

    pub(crate) fn path(&self, name: &str) -> Path {
        let parts = name.split('/').filter(|part| !part.is_empty());
        parts.fold(self.prefix.clone(), |path, part| path.join(part))
    }

    pub(crate) async fn read(&self, name: &str) -> io::Result<Option<Bytes>> {
        match self.store.get(&self.path(name)).await {
            Ok(got) => got.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) async fn write(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        let payload = PutPayload::from(bytes);
        let put = self.store.put(&self.path(name), payload).await;
        put.map(|_| ()).map_err(failed)
    }

    pub(crate) async fn exists(&self, name: &str) -> io::Result<bool> {
        match self.store.head(&self.path(name)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) async fn linked(
        &self,
        link: &str,
        name: &str,
        pieces: Arc<Pieces>,
    ) -> io::Result<Option<Content>> {
        if self.links.get(link).is_none() {
            if !self.exists(link).await? {
                return Ok(None);
            }
            self.links.insert(link.to_owned(), ());
        }
        self.open_content(name, pieces).await
    }

    pub(crate) async fn open_content(
        &self,
        name: &str,
        pieces: Arc<Pieces>,
    ) -> io::Result<Option<Content>> {
        let path = self.path(name);
        match self.store.head(&path).await {
            Ok(meta) => {
                let store = Arc::clone(&self.store);
                Ok(Some(Content::object(store, path, meta.size, pieces)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Uploads a file that is complete. It is there under its name when the last part is, and not before.
    pub(crate) async fn adopt(&self, name: &str, file: Arc<File>, size: u64) -> io::Result<()> {
        let path = self.path(name);
        if size <= PART_BYTES {
            let bytes = part(file, 0, size).await?;
            let put = self.store.put(&path, PutPayload::from(bytes)).await;
            return put.map(|_| ()).map_err(failed);
        }
        let upload = self.store.put_multipart(&path).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_SIZE);
        let mut sent = 0;
        while sent < size {
            let next = async {
                upload
                    .wait_for_capacity(PARTS_AHEAD)
                    .await
                    .map_err(failed)?;
                part(Arc::clone(&file), sent, PART_BYTES.min(size - sent)).await
            };
            match next.await {
                Ok(bytes) => {
                    sent += bytes.len() as u64;
                    upload.put(bytes);
                }
                Err(error) => {
                    // What cannot be taken back either is nobody's.
                    let _ = upload.abort().await;
                    return Err(error);
                }
            }
        }
        upload.finish().await.map(|_| ()).map_err(failed)
    }

    pub(crate) async fn remove(&self, name: &str) -> io::Result<()> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }
}

/// What became of it, without the queries of addresses, which may be signed.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn failed(error: object_store::Error) -> io::Error {
    let text = error.to_string();
    let words = text.split(' ').map(|word| {
        word.split_once('?')
            .map_or(word, |(address, _query)| address)
    });
    io::Error::other(words.collect::<Vec<_>>().join(" "))
}

async fn part(file: Arc<File>, offset: u64, length: u64) -> io::Result<Bytes> {
    blocking(move || {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    })
    .await
}

/// S3 takes 10,000 parts: 156 GiB with this one.
const PART_SIZE: usize = 16 * 1024 * 1024;
const PART_BYTES: u64 = PART_SIZE as u64;
const PARTS_AHEAD: usize = 2;
const LINKS_MAX: u64 = 200_000;
