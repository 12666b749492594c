//! Images by what they are: a name is resolved by the engine to an image ID, and the ID is judged by the ledger.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use ramgate_catalog::Catalog;
use ramgate_policy::{Denial, Digest, Grant, Policy, Subject};
use ramgate_provenance::{Judge, Record, Way};

use crate::engine::{Container, Image, ListedImage};
use crate::registrar::{Registrar, RegistrarError};

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

/// An image that was judged.
#[derive(Clone, Debug)]
pub(crate) struct JudgedImage {
    /// The name it was asked for by.
    pub(crate) name: String,
    /// Its ID; `None` for a container that was made from no image.
    pub(crate) id: Option<Digest>,
    pub(crate) record: Arc<Record>,
    pub(crate) verdict: Result<Grant, Vec<Denial>>,
}

/// A container whose images were judged.
#[derive(Clone, Debug)]
pub(crate) struct JudgedContainer {
    /// Its full ID.
    pub(crate) id: String,
    /// When it was last started, in nanoseconds since 1970.
    pub(crate) started: Option<u64>,
    pub(crate) images: Vec<JudgedImage>,
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
        let mut images = vec![self.judge_root(&container, policy, subject).await?];
        for mounted in container.image_mounts() {
            let image = self.find(mounted).await?;
            images.push(match image {
                Some(image) => self.judge_image(mounted, &image, policy, subject).await?,
                None => self.judge(mounted, None, unknown(), policy, subject).await,
            });
        }
        Ok(Some(JudgedContainer {
            started: container.started(),
            id: container.id,
            images,
        }))
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

    async fn judge_root(
        &self,
        container: &Container,
        policy: &Policy,
        subject: &Subject,
    ) -> Result<JudgedImage, RegistrarError> {
        let name = container.image_name();
        let Some(id) = container.image() else {
            // An empty root, which anything may have been put into since.
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
            verdict,
            record,
        }
    }
}

// === impl JudgedImage ===

impl JudgedImage {
    /// What it is, for who asked for it by a name that does not say so; `None` where the name does.
    pub(crate) fn explanation(&self) -> Option<String> {
        let record = &self.record;
        let named = self.name.parse().ok();
        if named.is_some_and(|named| record.origins.contains(&named)) {
            return None;
        }
        let id = self.id.as_ref().map_or_else(String::new, |id| {
            let short = id.encoded().get(..SHORT_ID).unwrap_or_default();
            format!(" is image {short},")
        });
        let came = match record.way {
            _ if !record.origins.is_empty() => format!("from {}", listed(&record.origins)),
            Way::Build if record.base.is_empty() => "built on this host".to_owned(),
            Way::Build => format!("built on {}", self.base()),
            Way::Commit => format!("committed on {}", self.base()),
            Way::Import => "imported".to_owned(),
            Way::Load => "loaded".to_owned(),
            Way::Adopt => "adopted".to_owned(),
            Way::Pull | Way::Unknown => {
                "of which it is not known where it came from; an administrator can vouch for it \
                 with `ramgate ledger adopt`"
                    .to_owned()
            }
        };
        Some(format!("`{}`{id} {came}", shown(&self.name)))
    }

    fn base(&self) -> String {
        let base = &self.record.base;
        if base.repositories.is_empty() {
            listed(base.images.iter().map(|image| {
                format!(
                    "image {}",
                    image.encoded().get(..SHORT_ID).unwrap_or_default()
                )
            }))
        } else {
            listed(&base.repositories)
        }
    }
}

// === impl JudgedContainer ===

impl JudgedContainer {
    /// Every denial that stands against it.
    pub(crate) fn denials(&self) -> impl Iterator<Item = &Denial> {
        self.images
            .iter()
            .filter_map(|image| image.verdict.as_ref().err())
            .flatten()
    }
}

/// The record of what nobody knows.
fn unknown() -> Arc<Record> {
    Arc::new(Record::new(Way::Unknown, 0))
}

/// The first few, for a message.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let shown = all.get(..LISTED_MAX).unwrap_or(&all).join(", ");
    match all.len().checked_sub(LISTED_MAX) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

fn shown(name: &str) -> String {
    name.chars()
        .filter(|letter| !letter.is_control())
        .take(NAME_SHOWN_MAX)
        .collect()
}

/// As docker shows IDs.
const SHORT_ID: usize = 12;
const LISTED_MAX: usize = 3;
/// Longer than any reference that is one.
const NAME_SHOWN_MAX: usize = 300;
const NAMES_MAX: u64 = 10_000;
/// The engine's events end it sooner; this is for when they do not come.
const NAMES_REMEMBERED: Duration = Duration::from_secs(5);
/// More containers than a host runs.
const STARTERS_MAX: u64 = 100_000;
