//! What the engine's events prove of how an image came. An event is somebody's word; what counts is what stands behind it.

use ramgate_policy::Repository;
use ramgate_provenance::{Record, Way};

use super::{Registrar, RegistrarError, seconds};
use crate::engine::{Event, Happening, Image};

// === impl Registrar ===

impl Registrar {
    /// Takes in one event.
    pub(crate) async fn take_in(&self, event: &Event) -> Result<(), RegistrarError> {
        let _turn = self.inner.event_turn.lock().await;
        let happening = event.happening();
        let by = self.inner.open.explains(&happening);
        let (way, id) = match happening {
            Happening::Delete(id) => {
                self.take_in_removal(id).await?;
                return self.advance(event.time);
            }
            Happening::Pull(reference) => {
                self.take_in_pull(reference, event, by).await?;
                return self.advance(event.time);
            }
            Happening::Load(id) => (Way::Load, id),
            Happening::Import(id) => (Way::Import, id),
            Happening::Commit(id) => (Way::Commit, id),
            Happening::Appear(id) => {
                self.take_in_appearance(id).await?;
                return self.advance(event.time);
            }
            Happening::Destroy(container) => {
                self.ledger().forget_mounts(|gone| gone == container)?;
                return self.pass(event.time);
            }
            Happening::Untag | Happening::Start(_) | Happening::Other => {
                return self.pass(event.time);
            }
        };
        let image = self.engine().image(id).await?;
        if way == Way::Commit
            && !image
                .as_ref()
                .is_some_and(|image| self.is_new(image, event.time))
        {
            return self.advance(event.time);
        }
        let id = image
            .as_ref()
            .map(|image| image.id.clone())
            .or_else(|| id.parse().ok());
        if let Some(id) = id {
            let mut record = Record::new(way, seconds(event.time));
            record.by = by;
            self.describe(&mut record, &id, image.as_ref()).await?;
            self.ledger().learn(&id, record)?;
        }
        self.advance(event.time)
    }

    /// Whether an image can have been made at `time`: it is there, and nothing older is known of it than that it appeared.
    ///
    /// The ID in the event of a commit is no proof: a label of the container by the same name takes its place (moby
    /// `daemon/events.go`, `copyAttributes`).
    fn is_new(&self, image: &Image, time: u64) -> bool {
        self.ledger().record(&image.id).is_none_or(|record| {
            record.way == Way::Build && record.since + COMMIT_TAKES >= seconds(time)
        })
    }

    async fn take_in_pull(
        &self,
        reference: &str,
        event: &Event,
        by: Option<String>,
    ) -> Result<(), RegistrarError> {
        let (Ok(repository), Some(image)) = (
            reference.parse::<Repository>(),
            self.engine().image(reference).await?,
        ) else {
            return Ok(());
        };
        if !self.is_from(&image, &repository, event.time).await? {
            return Ok(());
        }
        let mut record = Record::new(Way::Pull, seconds(event.time));
        record.by = by;
        record.name = Some(reference.to_owned());
        record.origins.insert(repository);
        record.layers = image.layers().to_vec();
        self.ledger().learn(&image.id, record)?;
        Ok(())
    }

    /// Whether an image is what was pulled from the repository at `time`, and not another that has taken over its name: the event
    /// says no ID.
    async fn is_from(
        &self,
        image: &Image,
        repository: &Repository,
        time: u64,
    ) -> Result<bool, RegistrarError> {
        if self.ledger().repositories(&image.id)?.contains(repository) {
            return Ok(true);
        }
        if self.engine().info().await?.has_containerd_store() {
            return Ok(image.was_named_by(time));
        }
        Ok(image.repositories().any(|known| known == *repository))
    }

    /// An image that is there now. If it came in another way than by a build, an event will say so, and count for more.
    async fn take_in_appearance(&self, id: &str) -> Result<(), RegistrarError> {
        let known = id.parse().ok().and_then(|id| self.ledger().record(&id));
        if known.is_none()
            && let Some(image) = self.engine().image(id).await?
        {
            self.conclude(&image).await?;
        }
        Ok(())
    }
}

/// Between an image's appearance and the event of the commit that made it, in seconds: in fact some milliseconds.
const COMMIT_TAKES: u64 = 5;
