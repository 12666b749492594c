//! Things in a bucket of an object store. Any number of mirrors may use it at once.
//!
//! No locks: an object is put under its name in one step, and only content that was verified is put at all. A mirror that dies
//! while it uploads leaves parts that no name leads to; a lifecycle rule of the bucket removes them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use moka::sync::Cache;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{
    ClientConfigKey, ClientOptions, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme,
    PutPayload, RetryConfig, WriteMultipart,
};

use super::content::Content;
use super::disk::blocking;
use super::object::Object;
use super::pieces::Pieces;
use crate::storage::BucketPlace;

/// A bucket, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Links that were seen: they are asked for at every request and only `gc` takes one away.
    links: Cache<String, ()>,
    /// Of content that was read and found right, the state that it was in.
    right: Cache<String, Arc<str>>,
}

// === impl Bucket ===

impl Bucket {
    pub(crate) fn open(place: &BucketPlace) -> io::Result<Self> {
        let (_, prefix) = ObjectStoreScheme::parse(&place.url)
            .map_err(object_store::Error::from)
            .map_err(failed)?;
        Ok(Self {
            store: client(place).map_err(failed)?,
            prefix,
            links: Cache::new(LINKS_MAX),
            right: Cache::new(LINKS_MAX),
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
        match self.store.head(&self.path(name)).await {
            Ok(meta) => {
                let object = Object::new(self.clone(), name.to_owned(), meta);
                Ok(Some(Content::object(object, pieces)))
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

    /// Whether content was read in this state and found right.
    pub(super) fn knows(&self, name: &str, state: &str) -> bool {
        self.right.get(name).is_some_and(|right| *right == *state)
    }

    pub(super) fn learn(&self, name: &str, state: String) {
        self.right.insert(name.to_owned(), state.into());
    }

    pub(crate) fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }
}

/// The client that the address asks for. One that does not answer is soon given up: the registries have everything, too.
fn client(place: &BucketPlace) -> object_store::Result<Arc<dyn ObjectStore>> {
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        // Of the whole answer: a large blob to a slow client takes longer than any.
        .with_timeout_disabled()
        .with_config(ClientConfigKey::ReadTimeout, READ_TIMEOUT);
    let retry = RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
        ..RetryConfig::default()
    };
    macro_rules! client {
        ($builder:ident, $key:ty) => {{
            let builder = $builder::new()
                .with_url(place.url.as_str())
                .with_client_options(client)
                .with_retry(retry);
            let options = place.options.iter();
            let options =
                options.filter_map(|(key, value)| Some((key.parse::<$key>().ok()?, value)));
            let builder = options.fold(builder, |builder, (key, value)| {
                builder.with_config(key, value)
            });
            Ok(Arc::new(builder.build()?))
        }};
    }
    match place.url.scheme() {
        "gs" => client!(GoogleCloudStorageBuilder, GoogleConfigKey),
        "az" => client!(MicrosoftAzureBuilder, AzureConfigKey),
        _ => client!(AmazonS3Builder, AmazonS3ConfigKey),
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
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const READ_TIMEOUT: &str = "30s";
const RETRIES_MAX: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);
const PARTS_AHEAD: usize = 2;
const LINKS_MAX: u64 = 200_000;
