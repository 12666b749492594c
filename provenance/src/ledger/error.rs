//! What can be wrong with a ledger.

use std::io::ErrorKind;

use thiserror::Error;

/// Why a ledger cannot be read or written.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Another process has it.
    #[error("the ledger is in use by another process")]
    InUse,
    /// Its directory cannot be made, or a damaged ledger cannot be put aside.
    #[error("the ledger's directory: {0}")]
    Directory(#[from] std::io::Error),
    /// A record cannot be written.
    #[error("a record cannot be written: {0}")]
    Record(#[from] serde_json::Error),
    /// A write did not come to its end.
    #[error("writing to the ledger was interrupted")]
    Interrupted,
    /// The store cannot be read or written.
    #[error("the ledger cannot be read or written: {0}")]
    Store(Box<redb::Error>),
}

// === impl LedgerError ===

impl LedgerError {
    /// Whether it is the ledger's content that is wrong.
    pub(super) fn is_damage(&self) -> bool {
        let Self::Store(error) = self else {
            return false;
        };
        if let redb::Error::Io(error) = error.as_ref() {
            let kind = error.kind();
            return kind == ErrorKind::InvalidData || kind == ErrorKind::UnexpectedEof;
        }
        matches!(
            error.as_ref(),
            redb::Error::Corrupted(_)
                | redb::Error::RepairAborted
                | redb::Error::TableTypeMismatch { .. }
                | redb::Error::UpgradeRequired(_)
        )
    }
}

pub(super) fn store(error: impl Into<redb::Error>) -> LedgerError {
    LedgerError::Store(Box::new(error.into()))
}
