//! What images consist of, found by reading their manifests.

use std::collections::BTreeSet;

use ramgate_policy::{Digest, Reference, Repository};
use serde::{Deserialize, Serialize};

use super::client::{ClientError, Fetched, MirrorClient};
use super::platform::{Platform, Platforms};

/// What an image consists of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) repository: Repository,
    /// The tag or digest that it was asked for by.
    pub(crate) pointer: String,
    /// What that points to; then what is in it.
    pub(crate) manifests: Vec<Planned>,
    /// Configs and layers, each once.
    pub(crate) blobs: Vec<Descriptor>,
}

/// A manifest with its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) bytes: hyper::body::Bytes,
}

/// What a manifest says of something.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

/// The part of manifests and indexes that names content.
#[derive(Debug, Deserialize)]
struct Contents {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

// === impl Plan ===

impl Plan {
    /// Finds what the image consists of, on the platforms that are wanted.
    pub(crate) async fn make(
        client: &MirrorClient,
        reference: &Reference,
        platforms: &Platforms,
    ) -> Result<Self, ClientError> {
        let wrong = |text: String| ClientError::Failed {
            what: reference.to_string(),
            text,
        };
        let repository = reference
            .repository()
            .map_err(|error| wrong(error.to_string()))?;
        let pointer = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_owned(),
            (None, None) => "latest".to_owned(),
        };
        let mut plan = Self {
            repository,
            pointer: pointer.clone(),
            manifests: Vec::new(),
            blobs: Vec::new(),
        };
        let mut seen: BTreeSet<Digest> = BTreeSet::new();
        let mut next = vec![(pointer, 0)];
        while let Some((pointer, depth)) = next.pop() {
            let fetched = client.manifest(&plan.repository, &pointer).await?;
            let (blobs, children) = contents(&fetched.bytes)
                .ok_or_else(|| wrong(format!("the manifest {} cannot be read", fetched.digest)))?;
            plan.manifests.push(fetched.into());
            let mut new = |blob: &Descriptor| seen.insert(blob.digest.clone());
            plan.blobs.extend(blobs.into_iter().filter(&mut new));
            for child in children {
                if !platforms.want(child.platform.as_ref()) || !seen.insert(child.digest.clone()) {
                    continue;
                }
                if depth >= DEPTH_MAX {
                    return Err(wrong("its indexes nest too deeply".to_owned()));
                }
                next.push((child.digest.to_string(), depth + 1));
            }
        }
        Ok(plan)
    }

    /// The reference in full, as it stands in a layout.
    pub(crate) fn name(&self) -> String {
        let separator = if self.pointer.contains(':') { '@' } else { ':' };
        format!("{}{separator}{}", self.repository, self.pointer)
    }

    /// The bytes of its blobs.
    pub(crate) fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}

// === impl Planned ===

impl Planned {
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest.clone(),
            size: self.bytes.len() as u64,
            platform: None,
        }
    }
}

impl From<Fetched> for Planned {
    fn from(fetched: Fetched) -> Self {
        Self {
            media_type: fetched.media_type,
            digest: fetched.digest,
            bytes: fetched.bytes,
        }
    }
}

/// What a manifest names: blobs, then manifests. `None` if it is none.
pub(crate) fn contents(bytes: &[u8]) -> Option<(Vec<Descriptor>, Vec<Descriptor>)> {
    let contents: Contents = serde_json::from_slice(bytes).ok()?;
    let blobs = contents
        .config
        .into_iter()
        .chain(contents.layers.unwrap_or_default());
    Some((blobs.collect(), contents.manifests.unwrap_or_default()))
}

/// Indexes in indexes: nobody nests them twice.
const DEPTH_MAX: usize = 4;
