//! Images that are removed: their records go, but for those that something there still is judged by.

use std::collections::BTreeSet;

use ramgate_policy::Digest;

use super::{Registrar, RegistrarError};

// === impl Registrar ===

impl Registrar {
    /// An image was removed, by an event that may be old. Called at the turn of that event.
    pub(super) async fn take_in_removal(&self, id: &str) -> Result<(), RegistrarError> {
        let Ok(id) = id.parse::<Digest>() else {
            return Ok(());
        };
        if self.ledger().record(&id).is_none() || self.engine().image(id.as_str()).await?.is_some()
        {
            return Ok(());
        }
        self.drop_unused([id].into()).await
    }

    /// Drops the records of all images and mounts that are no longer there.
    pub(super) async fn drop_removed(&self) -> Result<(), RegistrarError> {
        let _turn = self.inner.event_turn.lock().await;
        let containers = self.engine().containers().await?;
        let there: BTreeSet<&str> = containers.iter().map(|one| one.id.as_str()).collect();
        self.ledger().forget_mounts(|gone| !there.contains(gone))?;
        let mut gone: BTreeSet<Digest> = self.ledger().records().into_keys().collect();
        for image in self.engine().images().await? {
            gone.remove(&image.id);
        }
        self.drop_unused(gone).await
    }

    /// A container outlives its image and those that are mounted into it, and is judged by them when it is started.
    async fn drop_unused(&self, mut gone: BTreeSet<Digest>) -> Result<(), RegistrarError> {
        if gone.is_empty() {
            return Ok(());
        }
        for image in self.ledger().mounted_images()? {
            gone.remove(&image);
        }
        for container in self.engine().containers().await? {
            if let Ok(image) = container.image_id.parse() {
                gone.remove(&image);
            }
        }
        let dropped = self.ledger().drop_gone(&gone)?;
        if dropped > 0 {
            tracing::debug!(dropped, "records of removed images dropped");
        }
        Ok(())
    }
}
