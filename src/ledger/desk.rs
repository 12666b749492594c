//! Answers what administrators ask of the ledger.

use std::sync::Arc;

use ramgate_plugin::{Registrar, RegistrarError};
use ramgate_policy::Digest;
use ramgate_provenance::{LedgerError, Record};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Entry;

/// What can be asked of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// All records.
    List,
    /// The record of an image, by a name that the engine knows, or by its ID or the start of it.
    Show { image: String },
    /// Vouch for images; for all of which nothing is known, if none is named. `own`: they are this host's own.
    Adopt { images: Vec<String>, own: bool },
    /// Forget what is known of an image.
    Forget { image: String },
}

/// Answers what administrators ask of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    registrar: Registrar,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum DeskError {
    /// Nothing is known of it.
    #[error("nothing is known of `{0}`")]
    Unknown(String),
    /// The start of more than one ID.
    #[error("`{0}` is the start of more than one image ID")]
    Ambiguous(String),
    /// The engine or the ledger fails.
    #[error(transparent)]
    Registrar(#[from] RegistrarError),
    /// The ledger fails.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

// === impl Desk ===

impl Desk {
    pub(crate) const fn new(registrar: Registrar) -> Self {
        Self { registrar }
    }

    /// The records that the answer consists of.
    ///
    /// # Errors
    /// [`DeskError`] when an image is not known, or engine or ledger fail.
    pub(crate) async fn answer(&self, ask: &Ask) -> Result<Vec<Entry>, DeskError> {
        let ledger = self.registrar.ledger();
        let found = match ask {
            Ask::List => ledger.records().into_iter().collect(),
            Ask::Show { image } => vec![self.find(image).await?],
            Ask::Adopt { images, .. } if images.is_empty() => self.registrar.adopt_all().await?,
            Ask::Adopt { images, own } => {
                let mut adopted = Vec::new();
                for image in images {
                    adopted.push(self.registrar.adopt(image, *own).await?);
                }
                adopted
            }
            Ask::Forget { image } => {
                let found = self.find(image).await?;
                ledger.forget(&found.0)?;
                vec![found]
            }
        };
        Ok(found.into_iter().map(Entry::from).collect())
    }

    /// By the start of its ID, or by what the engine takes the name for.
    async fn find(&self, image: &str) -> Result<(Digest, Arc<Record>), DeskError> {
        let records = self.registrar.ledger().records();
        let bare = image.strip_prefix("sha256:").unwrap_or(image);
        let mut starting = records
            .into_iter()
            .filter(|(id, _)| !bare.is_empty() && id.encoded().starts_with(bare));
        match (starting.next(), starting.next()) {
            (Some(found), None) => return Ok(found),
            (Some(_), Some(_)) => return Err(DeskError::Ambiguous(image.to_owned())),
            (None, _) => {}
        }
        let id = self.registrar.image_id(image).await?;
        let record = id
            .as_ref()
            .and_then(|id| self.registrar.ledger().record(id));
        id.zip(record)
            .ok_or_else(|| DeskError::Unknown(image.to_owned()))
    }
}
