//! Serves what refers to a manifest, as signatures and lists of materials do.
//!
//! By the upstream's API, or, where it has none, by the tag that clients then keep the list under (OCI distribution-spec, "Unavailable
//! Referrers API"). Of each descriptor only what the spec names is passed on, and what the policy would refuse is left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use moka::sync::Cache;
use ramgate_policy::{Digest, Permit, Policy};
use reqwest::Method;
use reqwest::header::LINK;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ambiguity;
use crate::answer::Unserved;
use crate::audit::Source;
use crate::manifest::INDEXES;
use crate::mirror::Mirror;
use crate::path::Pointer;
use crate::tags::{page, query_of_next};
use crate::upstream::{Resource, UpstreamError, limited};

/// An answer.
#[derive(Debug)]
pub(crate) struct Referrers {
    /// An image index.
    pub(crate) body: Vec<u8>,
    /// Whether only those of the type that was asked for are in it.
    pub(crate) filtered: bool,
}

/// What was last heard. The keys name the repository.
#[derive(Debug)]
pub(crate) struct Memory(Cache<String, (Instant, Arc<Vec<Descriptor>>)>);

/// What the spec has in the list. Not `urls`, which would lead past this mirror, and not `data`, which no gate has verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    media_type: String,
    size: u64,
    digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

/// An index as far as it is read.
#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Descriptor>>,
}

// === impl Memory ===

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Cache::new(LISTS_MAX))
    }
}

// === impl Mirror ===

impl Mirror {
    /// What refers to the manifest in the permitted repository; of one type, if one is named.
    pub(crate) async fn referrers(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<(Referrers, Source), Unserved> {
        self.hear(permit, policy, digest).await?;
        let (all, source) = self.all_referrers(permit, policy, digest).await?;
        let mut manifests = Vec::new();
        for descriptor in all.iter() {
            if artifact_type
                .is_some_and(|wanted| descriptor.artifact_type.as_deref() != Some(wanted))
            {
                continue;
            }
            match self.hear(permit, policy, &descriptor.digest).await {
                Ok(()) => manifests.push(descriptor),
                Err(Unserved::Denied(_)) => {}
                Err(problem) => return Err(problem),
            }
        }
        let body = json!({ "schemaVersion": 2, "mediaType": INDEXES[0], "manifests": manifests });
        let referrers = Referrers {
            body: body.to_string().into_bytes(),
            filtered: artifact_type.is_some(),
        };
        Ok((referrers, source))
    }

    /// From memory, as long as a tag would be; else from the upstream, and if that fails from memory all the same.
    async fn all_referrers(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        digest: &Digest,
    ) -> Result<(Arc<Vec<Descriptor>>, Source), Unserved> {
        let key = format!("{}@{digest}", permit.repository());
        let memory = &self.kept_referrers().0;
        let kept = memory.get(&key);
        if let Some((checked, list)) = &kept
            && checked.elapsed() < self.config().tag_ttl
        {
            return Ok((Arc::clone(list), Source::Hit));
        }
        match (self.ask_referrers(permit, policy, digest).await, kept) {
            (Ok(list), _) => {
                let list = Arc::new(list);
                memory.insert(key, (Instant::now(), Arc::clone(&list)));
                Ok((list, Source::Miss))
            }
            (Err(error), Some((checked, list)))
                if error.is_transient() && checked.elapsed() < self.config().stale_if_error =>
            {
                tracing::warn!(%error, repository = %permit.repository(), %digest, "upstream failed, serving the referrers of before");
                Ok((list, Source::Stale))
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn ask_referrers(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Unserved> {
        let (mut query, mut list, mut left) = (String::new(), Vec::new(), SIZE_MAX_BYTES);
        for _ in 0..PAGES_MAX {
            let resource = Resource::Referrers(digest, &query);
            let fetched = self
                .upstreams()
                .fetch(permit, policy, Method::GET, resource)
                .await;
            let response = match fetched {
                // No API, or nothing there: the spec has registries with the API answer with an empty list.
                Err(UpstreamError::NotFound) if query.is_empty() => {
                    return self.tagged_referrers(permit, policy, digest).await;
                }
                fetched => fetched?,
            };
            let link = response.headers().get(LINK);
            let next = link
                .and_then(|link| link.to_str().ok())
                .and_then(query_of_next)
                .map(page);
            let bytes = limited(response, left).await?.ok_or(Unserved::TooLarge)?;
            left = left.saturating_sub(bytes.len());
            list.extend(read(&bytes).ok_or(Unserved::List)?);
            match next {
                Some(next) if !next.is_empty() && next != query => query = next,
                Some(_) | None => return Ok(list),
            }
        }
        Err(Unserved::TooLarge)
    }

    /// By the tag under which clients keep the list.
    async fn tagged_referrers(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Unserved> {
        let pointer = Pointer::Tag(tag_of(digest));
        match self.manifest(permit, policy, &pointer).await {
            Ok((manifest, ..)) if manifest.media_type == INDEXES[0] => {
                read(&manifest.bytes).ok_or(Unserved::List)
            }
            // Something else has that tag.
            Ok(_) => Ok(Vec::new()),
            Err(problem) if matches!(problem.upstream(), Some(UpstreamError::NotFound)) => {
                Ok(Vec::new())
            }
            Err(problem) => Err(problem),
        }
    }
}

/// The descriptors of an index.
fn read(bytes: &[u8]) -> Option<Vec<Descriptor>> {
    if !ambiguity::is_plain(bytes) {
        return None;
    }
    let index: Index = serde_json::from_slice(bytes).ok()?;
    Some(index.manifests.unwrap_or_default())
}

/// The digest as a tag, cut to what a tag may have.
fn tag_of(digest: &Digest) -> String {
    let encoded = digest.encoded();
    let encoded = encoded.get(..TAG_DIGITS_MAX).unwrap_or(encoded);
    format!("{}-{encoded}", digest.algorithm().name())
}

/// Of an encoded digest in a tag; source: OCI distribution-spec, "Referrers Tag Schema".
const TAG_DIGITS_MAX: usize = 64;
/// Lists that are remembered.
const LISTS_MAX: u64 = 10_000;
/// Of one answer, over all of its pages: as large as a manifest may be.
const SIZE_MAX_BYTES: usize = 4 * 1024 * 1024;
const PAGES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_a_list_is_its_digest_as_far_as_a_tag_goes() {
        let check = |digest: String, expected: String| {
            assert_eq!(tag_of(&digest.parse().unwrap()), expected);
        };
        check(
            format!("sha256:{}", "a".repeat(64)),
            format!("sha256-{}", "a".repeat(64)),
        );
        check(
            format!("sha512:{}", "b".repeat(128)),
            format!("sha512-{}", "b".repeat(64)),
        );
    }

    #[test]
    fn of_a_descriptor_only_what_the_spec_names_is_kept() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"m","size":3,"digest":"{digest}","artifactType":"t",
                "annotations":{{"k":"v"}},"urls":["https://x.example/"],"data":"e30="}}]}}"#
        );
        let read = super::read(index.as_bytes()).unwrap();
        let again = serde_json::to_string(&read).unwrap();
        assert!(again.contains("\"artifactType\":\"t\"") && again.contains("\"k\":\"v\""));
        assert!(
            !again.contains("urls") && !again.contains("data"),
            "{again}"
        );
    }

    #[test]
    fn what_is_no_list_is_none() {
        assert_eq!(read(b"{\"manifests\":null}"), Some(Vec::new()));
        assert_eq!(read(b"{\"manifests\":[],\"Manifests\":[]}"), None);
        assert_eq!(read(b"{\"manifests\":[{\"digest\":\"x\"}]}"), None);
        assert_eq!(read(b"<html>"), None);
    }
}
