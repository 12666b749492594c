//! Takes in content that did not come from an upstream: from an image layout that somebody carried here.
//!
//! It is judged and verified as if an upstream had sent it, and is from then on what that repository has.

use std::time::SystemTime;

use axum::body::Body;
use futures_util::StreamExt as _;
use ramgate_policy::{
    Action, Decision, Denial, Digest, Permit, Policy, Repository, Request, Subject,
};
use ramgate_provenance::{LedgerError, Verified};
use thiserror::Error;

use crate::answer::Unserved;
use crate::manifest::{InvalidManifest, Manifest};
use crate::mirror::Mirror;
use crate::path;
use crate::store::{TagRecord, blocking};

/// Why something is not taken in.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// The policy does not allow the repository, or what its content is known to be.
    #[error("{0}")]
    Denied(Box<Denial>),
    /// It is not what its digest says.
    #[error("the content is not what its digest says")]
    Mismatch,
    /// It is a manifest that is not served.
    #[error("{0}")]
    Manifest(String),
    /// The tag is none.
    #[error("`{0}` is no tag")]
    Tag(String),
    /// The content broke off.
    #[error("the content broke off")]
    BrokenOff,
    /// The store cannot be written.
    #[error("the mirror's store failed: {0}")]
    Store(#[from] std::io::Error),
    /// Where it comes from could not be noted.
    #[error("the ledger failed: {0}")]
    Ledger(#[from] LedgerError),
}

// === impl Mirror ===

impl Mirror {
    /// Whether the repository is known to have the blob.
    ///
    /// # Errors
    /// [`IntakeError`] when the policy does not allow it, or the store cannot be read.
    pub async fn has_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, IntakeError> {
        let (permit, policy) = self.admit(repository).await?;
        self.admit_content(&permit, &policy, digest).await?;
        Ok(self.store().blob(&permit, digest).await?.is_some())
    }

    /// Takes in a blob of a repository.
    ///
    /// # Errors
    /// [`IntakeError`] when the policy does not allow it, it is not what its digest says, or it cannot be kept.
    pub async fn take_in_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        content: Body,
    ) -> Result<(), IntakeError> {
        let (permit, policy) = self.admit(repository).await?;
        self.admit_content(&permit, &policy, digest).await?;
        let mut incoming = self.store().begin(digest).await?;
        let mut stream = content.into_data_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| IntakeError::BrokenOff)?;
            incoming = blocking(move || incoming.write(&[piece]).map(|()| incoming)).await?;
        }
        let verified = incoming.verify().ok_or(IntakeError::Mismatch)?;
        self.store().keep(incoming, &verified).await?;
        Ok(self.store().link_blob(&permit, digest).await?)
    }

    /// Takes in a manifest of a repository, and the tag that points to it, if there is one.
    ///
    /// # Errors
    /// [`IntakeError`] when the policy does not allow it, it is not what its digest says, it is none that is served, or it cannot
    /// be kept.
    pub async fn take_in_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        media_type: &str,
        tag: Option<&str>,
        bytes: bytes::Bytes,
    ) -> Result<(), IntakeError> {
        if let Some(tag) = tag.filter(|tag| !path::is_tag(tag)) {
            return Err(IntakeError::Tag(tag.to_owned()));
        }
        let (permit, policy) = self.admit(repository).await?;
        let verified = Verified::of(&bytes, digest).ok_or(IntakeError::Mismatch)?;
        let manifest = Manifest::new(media_type, bytes)?;
        self.admit_content(&permit, &policy, digest).await?;
        if let Some(config) = &manifest.config {
            self.admit_content(&permit, &policy, config).await?;
        }
        self.store()
            .keep_manifest(
                &permit,
                &verified,
                &manifest.media_type,
                manifest.bytes.clone(),
            )
            .await?;
        self.origins()
            .saw_manifest(repository, digest, &manifest)
            .await?;
        if let Some(tag) = tag {
            self.forget_tag(&permit, tag);
            let record = TagRecord::new(digest, now());
            self.store().set_tag(&permit, tag, &record).await?;
        }
        Ok(())
    }

    async fn admit(
        &self,
        repository: &Repository,
    ) -> Result<(Permit, std::sync::Arc<Policy>), IntakeError> {
        let policy = self.policy();
        let question = Request {
            repository,
            action: Action::Pull,
            subject: &Subject::Daemon,
        };
        match self.catalog().evaluate(&policy, &question).await {
            Decision::Allow(permit) => Ok((permit, policy)),
            Decision::Deny(denial) => Err(IntakeError::Denied(Box::new(denial))),
        }
    }

    async fn admit_content(
        &self,
        permit: &Permit,
        policy: &Policy,
        digest: &Digest,
    ) -> Result<(), IntakeError> {
        match self.hear(permit, policy, digest).await {
            Err(Unserved::Denied(denial)) => Err(IntakeError::Denied(denial)),
            Err(Unserved::Ledger(error)) => Err(error.into()),
            // It says no other.
            Err(_) | Ok(()) => Ok(()),
        }
    }
}

// === impl IntakeError ===

impl From<InvalidManifest> for IntakeError {
    fn from(problem: InvalidManifest) -> Self {
        Self::Manifest(problem.to_string())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a tag's record outlives the process, so its age is told by the wall clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
