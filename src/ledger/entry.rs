//! An image's record with its ID, as it is shown.

use std::sync::Arc;

use ramgate_policy::Digest;
use ramgate_provenance::Record;
use serde::{Deserialize, Serialize};

/// An image's record with its ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: Digest,
    #[serde(flatten)]
    pub(crate) record: Record,
}

// === impl Entry ===

impl From<(Digest, Arc<Record>)> for Entry {
    fn from((id, record): (Digest, Arc<Record>)) -> Self {
        Self {
            id,
            record: Arc::unwrap_or_clone(record),
        }
    }
}
