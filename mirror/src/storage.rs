//! Where the mirror keeps things, and how much of it.

use std::fmt;
use std::path::PathBuf;

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use reqwest::Url;

use crate::pin::Pin;

/// Where the mirror keeps things, and how much of it.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Where.
    pub place: Place,
    /// Most bytes of content kept in a directory; what was not asked for the longest goes first.
    pub max_size_bytes: Option<u64>,
    /// What never goes.
    pub pins: Vec<Pin>,
}

/// Where content is kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// A directory of this host.
    Directory(PathBuf),
    /// A bucket of an object store, which any number of mirrors may share.
    Bucket(BucketPlace),
}

/// A bucket of an object store.
#[derive(Clone)]
pub struct BucketPlace {
    /// As in `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    pub url: Url,
    /// What the object store's client is told, as `region` and `secret_access_key`; what comes later counts.
    pub options: Vec<(String, String)>,
    /// The directory for content that is on its way into the bucket.
    pub spool: PathBuf,
}

// === impl Storage ===

impl From<PathBuf> for Storage {
    fn from(directory: PathBuf) -> Self {
        Self {
            place: Place::Directory(directory),
            max_size_bytes: None,
            pins: Vec::new(),
        }
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(formatter, "{}", path.display()),
            Self::Bucket(bucket) => write!(formatter, "{}", bucket.url),
        }
    }
}

// === impl BucketPlace ===

impl BucketPlace {
    /// Whether the client for this scheme has an option of this name.
    #[must_use]
    pub fn knows(scheme: &str, option: &str) -> bool {
        match scheme {
            "s3" => option.parse::<AmazonS3ConfigKey>().is_ok(),
            "gs" => option.parse::<GoogleConfigKey>().is_ok(),
            "az" => option.parse::<AzureConfigKey>().is_ok(),
            _ => false,
        }
    }
}

impl fmt::Debug for BucketPlace {
    // The options have keys and tokens among them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BucketPlace")
            .field("url", &self.url.as_str())
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}
