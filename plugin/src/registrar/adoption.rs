//! Images that an administrator vouches for.

use std::collections::BTreeSet;
use std::sync::Arc;

use ramgate_policy::{Digest, Repository};
use ramgate_provenance::{Record, Way};

use super::{Registrar, RegistrarError, seconds, wall_clock};
use crate::engine::Image;

// === impl Registrar ===

impl Registrar {
    /// Vouches for an image, on an administrator's word: by the repositories of its names, or as this host's own.
    ///
    /// # Errors
    /// When there is no such image, or the engine or the ledger fails.
    pub async fn adopt(
        &self,
        name: &str,
        own: bool,
    ) -> Result<(Digest, Arc<Record>), RegistrarError> {
        let image = self.engine().image(name).await?;
        let image = image.ok_or_else(|| RegistrarError::NoImage(name.to_owned()))?;
        let mut record = Record::new(Way::Adopt, seconds(wall_clock()));
        record.name = image.tags().next().map(ToOwned::to_owned);
        record.layers = image.layers().to_vec();
        if !own {
            record.origins = self.named_origins(&image).await?;
        }
        let record = self.ledger().learn(&image.id, record)?;
        Ok((image.id, record))
    }

    /// The ID of the image that the engine takes `name` for; `None` if it has none.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn image_id(&self, name: &str) -> Result<Option<Digest>, RegistrarError> {
        Ok(self.engine().image(name).await?.map(|image| image.id))
    }

    /// Vouches for every image that the engine has and of which nothing is known. What was adopted.
    ///
    /// # Errors
    /// When the engine or the ledger fails.
    pub async fn adopt_all(&self) -> Result<Vec<(Digest, Arc<Record>)>, RegistrarError> {
        self.catch_up().await?;
        let mut adopted = Vec::new();
        for listed in self.engine().images().await? {
            let unknown = self
                .known(&listed.id)?
                .is_none_or(|record| record.way == Way::Unknown && record.origins.is_empty());
            if unknown {
                adopted.push(self.adopt(listed.id.as_str(), false).await?);
            }
        }
        Ok(adopted)
    }

    /// The repositories that its names speak of. In the containerd store every name has a digest, and in the other only those
    /// that were pulled or pushed.
    async fn named_origins(&self, image: &Image) -> Result<BTreeSet<Repository>, RegistrarError> {
        let mut origins: BTreeSet<Repository> = image.repositories().collect();
        origins.extend(self.ledger().repositories(&image.id)?);
        Ok(origins)
    }
}
