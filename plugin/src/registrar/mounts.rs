//! Images that are mounted into containers: which they are, seen when a container is made.
//!
//! The engine settles it then and never again (moby `daemon/volumes.go`, `registerMountPoints`), and shows only the name afterwards.

use ramgate_provenance::Mount;

use super::{Registrar, RegistrarError, wall_clock};
use crate::engine::{Container, ImageMount};

// === impl Registrar ===

impl Registrar {
    /// Notes which images a container has mounted that was made just now. What cannot be told for certain is not noted, and then denied.
    pub(crate) async fn take_in_container(&self, id: &str) -> Result<(), RegistrarError> {
        let Some(container) = self.engine().container(id).await? else {
            return Ok(());
        };
        for mount in container.image_mounts() {
            // What is taken over from another container was noted for that one.
            if let (true, Some(path)) = (mount.own, mount.path) {
                self.take_in_mount(&container, mount, path).await?;
            }
        }
        Ok(())
    }

    async fn take_in_mount(
        &self,
        container: &Container,
        mount: ImageMount<'_>,
        path: &str,
    ) -> Result<(), RegistrarError> {
        let Some(image) = self.engine().image(mount.name).await? else {
            return Ok(());
        };
        // What the name stands for now, it stood for all the time since the container was begun, or nobody knows.
        let Some(created) = container.created() else {
            return Ok(());
        };
        let events = self.engine().events(Some(created), Some(wall_clock()));
        let events = events.await?.collect().await?;
        if events.len() >= REMEMBERED_MIN || events.iter().any(|event| event.moves(mount.name)) {
            tracing::info!(
                container = container.id,
                mount = mount.name,
                "a name moved while a container was made: what it has mounted is unknown"
            );
            return Ok(());
        }
        self.record_of(&image).await?;
        let mounted = Mount {
            container: container.id.clone(),
            image: image.id,
        };
        Ok(self.ledger().note_mount(path, &mounted)?)
    }
}

/// dockerd remembers 256 events: with nearly as many, some may be forgotten.
const REMEMBERED_MIN: usize = 250;
