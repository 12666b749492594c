//! Serves manifests: from memory, from the store, or from the upstream, in this order and after the permit.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use moka::sync::Cache;
use ramgate_policy::{Digest, Permit, Policy};
use ramgate_provenance::Verified;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use tokio::sync::Semaphore;

use crate::absent::Absent;
use crate::answer::{CONTENT_DIGEST, Unserved};
use crate::asking::Asking;
use crate::audit::Source;
use crate::freshness::Age;
use crate::lists::Lists;
use crate::manifest::{Manifest, SIZE_MAX_BYTES};
use crate::mirror::Mirror;
use crate::path::Pointer;
use crate::store::TagRecord;
use crate::upstream::{Resource, limited};

/// Manifests and tags in memory. The keys name the repository: nothing is found under another.
#[derive(Debug)]
pub(crate) struct Memory {
    manifests: Cache<String, Arc<Manifest>>,
    tags: Cache<String, (Digest, Instant)>,
    pub(crate) absent: Absent,
    pub(crate) asking: Asking,
    pub(crate) lists: Lists,
    /// Room for manifests on their way to the store.
    keeping: Arc<Semaphore>,
}

/// A manifest, its digest, and where it came from.
pub(crate) type Found = (Arc<Manifest>, Digest, Source);

// === impl Memory ===

impl Memory {
    pub(crate) fn new(absent_ttl: Duration) -> Self {
        let weight = |key: &String, manifest: &Arc<Manifest>| {
            u32::try_from(key.len() + manifest.bytes.len()).unwrap_or(u32::MAX)
        };
        Self {
            manifests: Cache::builder()
                .weigher(weight)
                .max_capacity(MEMORY_MAX_BYTES)
                .build(),
            tags: Cache::new(TAGS_MAX),
            absent: Absent::new(absent_ttl),
            asking: Asking::default(),
            lists: Lists::new(),
            keeping: Arc::new(Semaphore::new(KEEPING_MAX)),
        }
    }
}

// === impl Mirror ===

impl Mirror {
    /// The manifest that `pointer` names in the permitted repository, if it is in memory and not to be asked for again.
    pub(crate) fn remembered_manifest(&self, permit: &Permit, pointer: &Pointer) -> Option<Found> {
        let (memory, repository) = (self.memory(), permit.repository());
        let digest = match pointer {
            Pointer::Digest(digest) => digest.clone(),
            Pointer::Tag(tag) => {
                let (digest, checked) = memory.tags.get(&format!("{repository}:{tag}"))?;
                (checked.elapsed() < self.config().tag_ttl).then_some(digest)?
            }
        };
        let manifest = memory.manifests.get(&format!("{repository}@{digest}"))?;
        Some((manifest, digest, Source::Hit))
    }

    /// The manifest that `pointer` names in the permitted repository, wherever it is.
    pub(crate) async fn present_manifest(
        &self,
        permit: &Permit,
        policy: &Policy,
        pointer: &Pointer,
    ) -> Result<Found, Unserved> {
        match pointer {
            Pointer::Digest(digest) => match self.kept_manifest(permit, digest).await? {
                Some(manifest) => Ok((manifest, digest.clone(), Source::Hit)),
                None => {
                    let resource = Resource::Manifest(digest.as_str());
                    let response = self
                        .upstreams()
                        .fetch(permit, policy, Method::GET, resource)
                        .await?;
                    let (manifest, digest) =
                        self.take_manifest(permit, response, Some(digest)).await?;
                    Ok((manifest, digest, Source::Miss))
                }
            },
            Pointer::Tag(tag) => self.tagged_manifest(permit, policy, tag).await,
        }
    }

    async fn tagged_manifest(
        &self,
        permit: &Permit,
        policy: &Policy,
        tag: &str,
    ) -> Result<Found, Unserved> {
        let key = format!("{}:{tag}", permit.repository());
        let remembered = self.memory().tags.get(&key);
        if let Some((digest, checked)) = &remembered
            && checked.elapsed() < self.config().tag_ttl
            && let Some(manifest) = self.kept_manifest(permit, digest).await?
        {
            return Ok((manifest, digest.clone(), Source::Hit));
        }
        let now = wall_clock();
        let record = self.seen(self.store().tag(permit, tag).await).flatten();
        let kept = match record.as_ref().and_then(TagRecord::digest) {
            Some(digest) => self
                .kept_manifest(permit, &digest)
                .await?
                .map(|manifest| (manifest, digest)),
            None => None,
        };
        let age = Age::new(remembered.map(|(_, checked)| checked), record.as_ref(), now);
        if let Some((manifest, digest)) = &kept
            && age.is_fresh(self.config().tag_ttl)
        {
            return Ok((Arc::clone(manifest), digest.clone(), Source::Hit));
        }
        let result = self.ask_tag(permit, policy, tag, kept.as_ref()).await;
        match (result, kept) {
            (Ok(found), _) => {
                let record = TagRecord::new(&found.1, now);
                self.noted(self.store().set_tag(permit, tag, &record).await);
                self.memory()
                    .tags
                    .insert(key, (found.1.clone(), Instant::now()));
                Ok(found)
            }
            (Err(Unserved::Upstream(error)), Some((manifest, digest)))
                if error.is_transient() && age.may_stand_in(self.config().stale_if_error) =>
            {
                tracing::warn!(%error, repository = %permit.repository(), tag, "upstream failed, serving what is cached");
                Ok((manifest, digest, Source::Stale))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Asks the upstream where the tag points: first by HEAD, which costs no pull of Docker Hub's limit.
    async fn ask_tag(
        &self,
        permit: &Permit,
        policy: &Policy,
        tag: &str,
        kept: Option<&(Arc<Manifest>, Digest)>,
    ) -> Result<Found, Unserved> {
        let resource = Resource::Manifest(tag);
        if let Some((manifest, digest)) = kept {
            let head = self
                .upstreams()
                .fetch(permit, policy, Method::HEAD, resource)
                .await?;
            if announced(&head).as_ref() == Some(digest) {
                return Ok((Arc::clone(manifest), digest.clone(), Source::Hit));
            }
        }
        let response = self
            .upstreams()
            .fetch(permit, policy, Method::GET, resource)
            .await?;
        let (manifest, digest) = self.take_manifest(permit, response, None).await?;
        Ok((manifest, digest, Source::Miss))
    }

    /// Forgets where a tag pointed, as far as it is in memory.
    pub(crate) fn forget_tag(&self, permit: &Permit, tag: &str) {
        let key = format!("{}:{tag}", permit.repository());
        self.memory().tags.invalidate(&key);
    }

    /// A manifest that this repository is known to have.
    async fn kept_manifest(
        &self,
        permit: &Permit,
        digest: &Digest,
    ) -> Result<Option<Arc<Manifest>>, Unserved> {
        let key = format!("{}@{digest}", permit.repository());
        if let Some(manifest) = self.memory().manifests.get(&key) {
            return Ok(Some(manifest));
        }
        let kept = self.store().manifest(permit, digest).await;
        let Some((media_type, bytes)) = self.seen(kept).flatten() else {
            return Ok(None);
        };
        // A disk may rot, and a manifest is read into memory anyway.
        if Verified::of(&bytes, digest).is_none() {
            tracing::error!(%digest, "a manifest in the store is not what its digest says; it is fetched anew");
            return Ok(None);
        }
        let manifest = Arc::new(Manifest::new(&media_type, bytes.into())?);
        self.origins()
            .saw_manifest(permit.repository(), digest, &manifest)
            .await?;
        self.memory().manifests.insert(key, Arc::clone(&manifest));
        Ok(Some(manifest))
    }

    /// Verifies and keeps a manifest that the upstream sent.
    async fn take_manifest(
        &self,
        permit: &Permit,
        response: Response,
        expected: Option<&Digest>,
    ) -> Result<(Arc<Manifest>, Digest), Unserved> {
        let announced = announced(&response);
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let bytes = limited(response, SIZE_MAX_BYTES)
            .await?
            .ok_or(Unserved::TooLarge)?;
        self.metrics().fetched(bytes.len() as u64);
        let verified = match expected.or(announced.as_ref()) {
            Some(digest) => Verified::of(&bytes, digest),
            None => Verified::by_sha256(&bytes),
        };
        let verified = verified.ok_or(Unserved::Mismatch)?;
        let manifest = Arc::new(Manifest::new(&media_type, bytes.into())?);
        let digest = verified.digest().clone();
        self.keep(permit, verified, &manifest).await;
        self.origins()
            .saw_manifest(permit.repository(), &digest, &manifest)
            .await?;
        let key = format!("{}@{digest}", permit.repository());
        self.memory().manifests.insert(key, Arc::clone(&manifest));
        Ok((manifest, digest))
    }

    /// Keeps a manifest, which is on the disk before it has its name. Who asked for it does not wait for a disk that takes its time: till
    /// then it is served from memory, and by a process that dies before it was never kept.
    ///
    /// A store that takes nothing in, as when its disk is full, keeps nobody from pulling either. One that hangs has so many to keep and no
    /// more: the others are asked for again when they are no longer in memory.
    async fn keep(&self, permit: &Permit, verified: Verified, manifest: &Arc<Manifest>) {
        let Ok(room) = Arc::clone(&self.memory().keeping).try_acquire_owned() else {
            tracing::warn!("the store is slow: a manifest is not kept");
            return;
        };
        let (mirror, permit, manifest) = (self.clone(), permit.clone(), Arc::clone(manifest));
        let keeping = tokio::spawn(async move {
            let _room = room;
            let (store, bytes) = (mirror.store(), manifest.bytes.clone());
            let kept = store.keep_manifest(&permit, &verified, &manifest.media_type, bytes);
            mirror.noted(kept.await);
        });
        if let Ok(Err(error)) = tokio::time::timeout(KEEPING_PATIENCE, keeping).await {
            tracing::error!(%error, "a manifest is not kept");
        }
    }
}

/// Tag records outlive the process, so their age is told by the wall clock and not by a monotonic one.
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of this crate; records take their time as an argument"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

fn announced(response: &Response) -> Option<Digest> {
    response
        .headers()
        .get(CONTENT_DIGEST)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// A disk that is well has it by then, and who reads the store next finds it there.
const KEEPING_PATIENCE: Duration = Duration::from_millis(200);
/// As many as a healthy disk takes within a second, and 256 MiB of the largest.
const KEEPING_MAX: usize = 64;
/// Manifests are some KiB each, so this is tens of thousands of them.
const MEMORY_MAX_BYTES: u64 = 64 * 1024 * 1024;
const TAGS_MAX: u64 = 100_000;
