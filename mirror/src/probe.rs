//! Which hosts a registry redirects to, learnt by fetching from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ramgate_policy::{
    Action, Decision, Digest, Permit, Policy, Reference, Request as Question, Subject,
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use crate::answer::Unserved;
use crate::mirror::Mirror;
use crate::path::Pointer;
use crate::upstream::{Resource, UpstreamError};

/// Why nothing was learnt.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// It cannot be fetched.
    #[error("{0}")]
    Unserved(String),
    /// No registry, no host, or no image.
    #[error("`{0}` cannot be fetched as an image")]
    Unsuitable(String),
    /// Every answer names another host.
    #[error("the registry redirects to another host each time: {0}")]
    Endless(String),
}

/// The part of a manifest or index that says what to fetch next.
#[derive(Deserialize)]
struct Outline {
    config: Option<Part>,
    #[serde(default)]
    layers: Vec<Part>,
    #[serde(default)]
    manifests: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    digest: Digest,
}

// === impl Mirror ===

impl Mirror {
    /// Fetches the image of `reference`, as far as the first bytes of its layers, and gives the hosts that its registry redirects to
    /// beside those that are built in.
    ///
    /// # Errors
    /// When the registry does not give it.
    pub async fn probe(&self, reference: &Reference) -> Result<Vec<String>, ProbeError> {
        let unsuitable = || ProbeError::Unsuitable(reference.to_string());
        let repository = reference.repository().map_err(|_| unsuitable())?;
        let pointer = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Pointer::Digest(digest.clone()),
            (None, tag) => Pointer::Tag(tag.unwrap_or("latest").to_owned()),
        };
        let mut hosts = BTreeSet::new();
        while hosts.len() <= HOSTS_MAX {
            // What is asked is what this policy is made to allow: the administrator's own may not yet.
            let policy = json!({ "version": 1, "registries": [
                { "host": repository.registry().to_string(), "redirect-hosts": hosts },
            ] });
            let policy = Policy::parse(&policy.to_string()).map_err(|_| unsuitable())?;
            let policy = Arc::new(policy);
            let question = Question {
                repository: &repository,
                action: Action::Pull,
                subject: &Subject::Daemon,
            };
            let Decision::Allow(permit) = policy.evaluate(&question) else {
                return Err(unsuitable());
            };
            match self.walk(&permit, &policy, &pointer).await {
                Ok(()) => return Ok(hosts.into_iter().collect()),
                Err(Unserved::Upstream(UpstreamError::ForeignRedirect(host))) => {
                    if !hosts.insert(host.clone()) {
                        return Err(ProbeError::Endless(host));
                    }
                }
                Err(error) => return Err(ProbeError::Unserved(with_causes(&error))),
            }
        }
        Err(ProbeError::Endless(
            hosts.into_iter().collect::<Vec<_>>().join(", "),
        ))
    }

    /// From the manifest to the layers: of an index, its first image.
    async fn walk(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        pointer: &Pointer,
    ) -> Result<(), Unserved> {
        let mut pointer = pointer.clone();
        let outline = loop {
            let (manifest, _, _) = self.manifest(permit, policy, &pointer).await?;
            let outline: Outline = serde_json::from_slice(&manifest.bytes)
                .map_err(|_| crate::manifest::InvalidManifest::Unreadable)?;
            match outline.manifests.first() {
                Some(first) => pointer = Pointer::Digest(first.digest.clone()),
                None => break outline,
            }
        };
        for part in outline.config.iter().chain(&outline.layers) {
            // Where it comes from is known with its head; the rest is not read.
            let blob = Resource::Blob(&part.digest);
            self.upstreams()
                .fetch(permit, policy, Method::GET, blob)
                .await?;
        }
        Ok(())
    }
}

/// An error with what led to it, each once: some say it themselves.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// No registry has as many.
const HOSTS_MAX: usize = 16;
