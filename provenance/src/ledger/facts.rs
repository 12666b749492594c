//! Up to when the engine has been followed.

use redb::ReadableDatabase as _;

use super::{FACTS, Ledger, LedgerError, store};

// === impl Ledger ===

impl Ledger {
    /// Up to when the engine's events have been taken in: nanoseconds since 1970 by the engine's clock.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn watched_until(&self) -> Result<Option<u64>, LedgerError> {
        self.fact(WATCHED_UNTIL)
    }

    /// Up to when every container that was started has been judged: nanoseconds since 1970 by the engine's clock. Events are taken in
    /// for images alone as well, so this can be earlier.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn judged_until(&self) -> Result<Option<u64>, LedgerError> {
        self.fact(JUDGED_UNTIL)
    }

    /// Notes up to when the engine's events have been taken in.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written.
    pub fn set_watched_until(&self, nanoseconds: u64) -> Result<(), LedgerError> {
        self.set_fact(WATCHED_UNTIL, nanoseconds)
    }

    /// Notes up to when every container that was started has been judged.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written.
    pub fn set_judged_until(&self, nanoseconds: u64) -> Result<(), LedgerError> {
        self.set_fact(JUDGED_UNTIL, nanoseconds)
    }

    fn fact(&self, name: &str) -> Result<Option<u64>, LedgerError> {
        let transaction = self.database.begin_read().map_err(store)?;
        let facts = transaction.open_table(FACTS).map_err(store)?;
        let value = facts.get(name).map_err(store)?;
        Ok(value.map(|value| value.value()))
    }

    fn set_fact(&self, name: &str, value: u64) -> Result<(), LedgerError> {
        let transaction = self.database.begin_write().map_err(store)?;
        {
            let mut facts = transaction.open_table(FACTS).map_err(store)?;
            facts.insert(name, value).map_err(store)?;
        }
        transaction.commit().map_err(store)
    }
}

const WATCHED_UNTIL: &str = "watched-until";
const JUDGED_UNTIL: &str = "judged-until";
