//! What is known of content speaks beside the name that it is asked for under, and is heard before the store is.

use ramgate_policy::{Digest, Permit, Policy};

use crate::answer::Unserved;
use crate::audit;
use crate::mirror::Mirror;

// === impl Mirror ===

impl Mirror {
    /// Passes content that may be had under the permitted repository's name.
    ///
    /// # Errors
    /// [`Unserved::Denied`] for content that Docker Hub is known to have, where none of its repositories that do is allowed.
    pub(crate) async fn hear(
        &self,
        permit: &Permit,
        policy: &Policy,
        digest: &Digest,
    ) -> Result<(), Unserved> {
        let known = self.origins().repositories(digest)?;
        let named = permit.repository();
        let judged = self.admit_copy(named, &known, policy).await;
        let grant = judged.map_err(|denial| Unserved::Denied(Box::new(denial)))?;
        if let Some(denial) = grant.as_ref().and_then(|grant| grant.suppressed()) {
            audit::suppressed(permit, digest, denial);
        }
        Ok(())
    }
}
