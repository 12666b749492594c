//! Containers by the images that they were made from and that are mounted into them.

use ramgate_policy::{Policy, Subject};

use super::{Identity, JudgedContainer, JudgedImage};
use crate::engine::Container;
use crate::registrar::RegistrarError;

// === impl Identity ===

impl Identity {
    /// Judges the images of a container; `None` if there is no such container.
    pub(crate) async fn judge_container(
        &self,
        name: &str,
        policy: &Policy,
        subject: &Subject,
    ) -> Result<Option<JudgedContainer>, RegistrarError> {
        let Some(container) = self.registrar.engine().container(name).await? else {
            return Ok(None);
        };
        let mut images = self.judge_all_of(&container, policy, subject).await?;
        for other in self.also_meant(name, &container).await? {
            images.extend(self.judge_all_of(&other, policy, subject).await?);
        }
        Ok(Some(JudgedContainer {
            started: container.started(),
            id: container.id,
            images,
        }))
    }

    /// The containers that `name` stands for as soon as `container` no longer goes by it: those whose IDs begin with it.
    ///
    /// The engine looks for a name once it has our answer, and prefers names to parts of IDs. A name that moves to another container
    /// moves by a request, which is judged; that one goes by none needs no request but the renaming of this one.
    async fn also_meant(
        &self,
        name: &str,
        container: &Container,
    ) -> Result<Vec<Container>, RegistrarError> {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if container.id.starts_with(name) || !name.bytes().all(hexadecimal) {
            return Ok(Vec::new());
        }
        let engine = self.registrar.engine();
        let mut meant = Vec::new();
        for listed in engine.containers().await? {
            if listed.id.starts_with(name) && listed.id != container.id {
                meant.extend(engine.container(&listed.id).await?);
            }
        }
        Ok(meant)
    }

    /// Judges the image that a container was made from, and those that are mounted into it.
    async fn judge_all_of(
        &self,
        container: &Container,
        policy: &Policy,
        subject: &Subject,
    ) -> Result<Vec<JudgedImage>, RegistrarError> {
        let (name, root) = (container.image_name(), container.image());
        let mut images = vec![self.judge_id(name, root, policy, subject).await?];
        for mount in container.image_mounts() {
            let noted = match mount.path {
                Some(path) => self.registrar.ledger().mount(path)?,
                None => None,
            };
            let id = noted.map(|noted| noted.image);
            images.push(JudgedImage {
                mounted: true,
                ..self.judge_id(mount.name, id, policy, subject).await?
            });
        }
        Ok(images)
    }
}
