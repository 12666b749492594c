//! Answers what administrators ask of the catalogue.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use ramgate_catalog::{Bundle, Catalog, CatalogError, Shown, Summary};
use serde::{Deserialize, Serialize};

use crate::control::CATALOG;
use crate::unix;

/// What can be asked of the catalogue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// What is a namespace? Docker Hub is asked if nobody knows.
    Show { namespace: String },
    /// Ask Docker Hub again, for these or for all that it said.
    Refresh { namespaces: Vec<String> },
    /// All that is known, to hold for so many seconds.
    Export { valid: u64 },
    /// Take in a bundle, which the asker has verified.
    Import { bundle: Bundle },
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Shown(Shown),
    Done(Summary),
    Bundle(Bundle),
}

/// Answers what administrators ask of the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    catalog: Catalog,
}

// === impl Desk ===

impl Desk {
    pub(crate) const fn new(catalog: Catalog) -> Self {
        Self { catalog }
    }

    /// # Errors
    /// [`CatalogError`] when the catalogue fails or a bundle has expired.
    pub(crate) async fn answer(&self, ask: &Ask) -> Result<Answer, CatalogError> {
        Ok(match ask {
            Ask::Show { namespace } => Answer::Shown(self.catalog.show(namespace).await?),
            Ask::Refresh { namespaces } => Answer::Done(self.catalog.refresh(namespaces).await?),
            Ask::Export { valid } => {
                Answer::Bundle(self.catalog.export(Duration::from_secs(*valid))?)
            }
            Ask::Import { bundle } => Answer::Done(self.catalog.import(bundle)?),
        })
    }
}

// === impl Ask ===

impl Ask {
    /// Puts the question to a running ramgate; `None` if none runs.
    pub(crate) async fn put(&self, socket: &Path) -> anyhow::Result<Option<Answer>> {
        if tokio::net::UnixStream::connect(socket).await.is_err() {
            return Ok(None);
        }
        let (status, body) = unix::post(socket, CATALOG, serde_json::to_vec(self)?).await?;
        if !status.is_success() {
            bail!("{}", String::from_utf8_lossy(&body));
        }
        Ok(Some(serde_json::from_slice(&body)?))
    }
}
