//! Notes in the ledger what each repository has, so that content is known again under another name.
//!
//! Noted before it is served: what is not known to come from a repository might be taken for another's.

use std::sync::Arc;

use ramgate_policy::{Digest, Repository};
use ramgate_provenance::{Ledger, LedgerError};
use serde::Deserialize;

use crate::manifest::Manifest;

/// The mirror's hand in the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    ledger: Arc<Ledger>,
}

/// The part of an image's config that says what its root consists of; source: OCI image-spec `config.md`.
#[derive(Deserialize)]
struct Config {
    rootfs: Root,
}

#[derive(Deserialize)]
struct Root {
    diff_ids: Vec<Digest>,
}

// === impl Origins ===

impl Origins {
    pub(crate) const fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }

    /// Notes that a repository has this manifest, and the config that it names.
    pub(crate) async fn saw_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        manifest: &Manifest,
    ) -> Result<(), LedgerError> {
        let mut digests = vec![digest.clone()];
        digests.extend(manifest.config.clone());
        let repository = repository.clone();
        self.write(move |ledger| ledger.saw(&repository, &digests.iter().collect::<Vec<_>>()))
            .await
    }

    /// Whether a blob of the repository is the config of an image.
    pub(crate) fn knows_config(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, LedgerError> {
        Ok(self.ledger.repositories(digest)?.contains(repository))
    }

    /// Notes that a repository has an image with this config. A config of something that is no image says nothing.
    pub(crate) async fn saw_config(
        &self,
        repository: &Repository,
        config: &[u8],
    ) -> Result<(), LedgerError> {
        let Ok(config) = serde_json::from_slice::<Config>(config) else {
            return Ok(());
        };
        let repository = repository.clone();
        self.write(move |ledger| ledger.saw_layers(&repository, &config.rootfs.diff_ids))
            .await
    }

    /// The ledger waits for the disk, which the tasks beside this one must not.
    async fn write(
        &self,
        note: impl FnOnce(&Ledger) -> Result<(), LedgerError> + Send + 'static,
    ) -> Result<(), LedgerError> {
        let ledger = Arc::clone(&self.ledger);
        tokio::task::spawn_blocking(move || note(&ledger))
            .await
            .map_err(|_panic| LedgerError::Interrupted)?
    }
}

/// Largest blob that is looked at as a config. Those of images are some KiB.
pub(crate) const CONFIG_SIZE_MAX_BYTES: u64 = 1024 * 1024;
