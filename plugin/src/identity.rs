//! Images by what they are: a name is resolved by the engine to an image ID, and the ID is judged by the ledger.

mod containers;
mod judged;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use ramgate_catalog::Catalog;
use ramgate_policy::{Digest, Policy, Subject};
use ramgate_provenance::{Judge, Record, Way};

use crate::engine::{Image, ListedImage};
use crate::registrar::{Registrar, RegistrarError};
pub(crate) use judged::{JudgedContainer, JudgedImage};

/// Finds out what images are, and judges them. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Identity {
    registrar: Registrar,
    /// Which image a name stood for a moment ago. What is judged by it is judged again by its ID when a container starts, so
    /// that a name which moves in between gains nothing.
    names: Cache<String, Arc<Image>>,
    /// Which images were there a moment ago.
    present: Cache<(), Arc<Vec<ListedImage>>>,
    /// On whose behalf containers were started, by container ID.
    starters: Cache<String, Subject>,
    catalog: Catalog,
}

// === impl Identity ===

impl Identity {
    /// Judges by the ledger of `registrar`.
    #[must_use]
    pub fn new(registrar: Registrar) -> Self {
        Self {
            registrar,
            names: Cache::builder()
                .max_capacity(NAMES_MAX)
                .time_to_live(NAMES_REMEMBERED)
                .build(),
            present: Cache::builder().time_to_live(NAMES_REMEMBERED).build(),
            starters: Cache::new(STARTERS_MAX),
            catalog: Catalog::none(),
        }
    }

    /// Judges origins by what `catalog` knows of Docker Hub.
    #[must_use]
    pub fn with_catalog(self, catalog: Catalog) -> Self {
        Self { catalog, ..self }
    }

    /// The image that the engine takes `name` for; `None` if it has none.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Arc<Image>>, RegistrarError> {
        if let Some(image) = self.names.get(name) {
            return Ok(Some(image));
        }
        let image = self.registrar.engine().image(name).await?.map(Arc::new);
        if let Some(image) = &image {
            self.names.insert(name.to_owned(), Arc::clone(image));
        }
        Ok(image)
    }

    /// Names have moved.
    pub(crate) fn forget_names(&self) {
        self.names.invalidate_all();
        self.present.invalidate_all();
    }

    /// Judges an image that goes by `name`.
    pub(crate) async fn judge_image(
        &self,
        name: &str,
        image: &Image,
        policy: &Policy,
        subject: &Subject,
    ) -> Result<JudgedImage, RegistrarError> {
        let record = self.registrar.record_of(image).await?;
        Ok(self
            .judge(name, Some(image.id.clone()), record, policy, subject)
            .await)
    }

    /// Judges every image that the engine has.
    pub(crate) async fn judge_present(
        &self,
        policy: &Policy,
        subject: &Subject,
    ) -> Result<Vec<JudgedImage>, RegistrarError> {
        let present = match self.present.get(&()) {
            Some(present) => present,
            None => {
                let present = Arc::new(self.registrar.engine().images().await?);
                self.present.insert((), Arc::clone(&present));
                present
            }
        };
        let mut judged = Vec::with_capacity(present.len());
        for listed in present.iter() {
            let record = match self.registrar.known(&listed.id)? {
                Some(record) => record,
                None => match self.registrar.engine().image(listed.id.as_str()).await? {
                    Some(image) => self.registrar.record_of(&image).await?,
                    // Removed meanwhile.
                    None => continue,
                },
            };
            let id = Some(listed.id.clone());
            judged.push(self.judge(listed.name(), id, record, policy, subject).await);
        }
        Ok(judged)
    }

    /// Notes on whose behalf a container is started.
    pub(crate) fn note_starter(&self, container: &str, subject: &Subject) {
        self.starters.insert(container.to_owned(), subject.clone());
    }

    /// On whose behalf a container was started; the daemon's, if no request asked for it.
    pub(crate) fn starter(&self, container: &str) -> Subject {
        self.starters.get(container).unwrap_or(Subject::Daemon)
    }

    /// Judges an image of which only its ID is known.
    async fn judge_id(
        &self,
        name: &str,
        id: Option<Digest>,
        policy: &Policy,
        subject: &Subject,
    ) -> Result<JudgedImage, RegistrarError> {
        let Some(id) = id else {
            // An empty root, which anything may have been put into since; or a mount that nobody saw made.
            return Ok(self.judge(name, None, unknown(), policy, subject).await);
        };
        let record = match self.registrar.known(&id)? {
            Some(record) => record,
            None => match self.registrar.engine().image(id.as_str()).await? {
                Some(image) => self.registrar.record_of(&image).await?,
                // It was removed, and its container was not.
                None => unknown(),
            },
        };
        Ok(self.judge(name, Some(id), record, policy, subject).await)
    }

    async fn judge(
        &self,
        name: &str,
        id: Option<Digest>,
        record: Arc<Record>,
        policy: &Policy,
        subject: &Subject,
    ) -> JudgedImage {
        let ledger = self.registrar.ledger();
        let verdict = self
            .catalog
            .settle(|categories| {
                let judge = Judge {
                    policy,
                    subject,
                    categories,
                    find: &|image| ledger.record(image),
                };
                judge.judge(&record)
            })
            .await;
        JudgedImage {
            name: name.to_owned(),
            id,
            mounted: false,
            verdict,
            record,
        }
    }
}

/// The record of what nobody knows.
fn unknown() -> Arc<Record> {
    Arc::new(Record::new(Way::Unknown, 0))
}

const NAMES_MAX: u64 = 10_000;
/// The engine's events end it sooner; this is for when they do not come.
const NAMES_REMEMBERED: Duration = Duration::from_secs(5);
/// More containers than a host runs.
const STARTERS_MAX: u64 = 100_000;
