//! What is known of content speaks beside the name that it is asked for under, and is heard before the store is.

use std::time::Instant;

use ramgate_policy::{Digest, Permit, Policy};

use crate::answer::Unserved;
use crate::audit::{Asked, Asker};
use crate::mirror::Mirror;

// === impl Mirror ===

impl Mirror {
    /// As [`Self::hear_for`], for the daemon.
    ///
    /// # Errors
    /// As it does.
    pub(crate) async fn hear(
        &self,
        permit: &Permit,
        policy: &Policy,
        digest: &Digest,
    ) -> Result<(), Unserved> {
        self.hear_for(Asker::MIRROR, permit, policy, digest).await
    }

    /// Passes content that `asker` may have under the permitted repository's name.
    ///
    /// # Errors
    /// [`Unserved::Denied`] for content that Docker Hub is known to have, where none of its repositories that do is allowed.
    pub(crate) async fn hear_for(
        &self,
        asker: Asker<'_>,
        permit: &Permit,
        policy: &Policy,
        digest: &Digest,
    ) -> Result<(), Unserved> {
        let known = self.origins().repositories(digest)?;
        let named = permit.repository();
        let judged = self
            .admit_copy(named, &known, policy, asker.subject())
            .await;
        let grant = judged.map_err(|denial| Unserved::Denied(Box::new(denial)))?;
        if let Some(denial) = grant.as_ref().and_then(|grant| grant.suppressed()) {
            let asked = Asked {
                asker,
                repository: named,
                tag: None,
                digest: Some(digest),
                action: permit.action(),
                started: Instant::now(),
            };
            asked.suppressed(denial);
        }
        Ok(())
    }
}
