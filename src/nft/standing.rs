//! How it stands with the rules: whether what they take is sent to where we listen.

use std::net::SocketAddr;

use super::{Ruleset, program};

/// How it stands with the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They are not there.
    Absent,
    /// They are there, and lead elsewhere.
    Elsewhere,
    InForce,
    /// It cannot be asked; why.
    Unknown(String),
}

// === impl Standing ===

impl Standing {
    /// Asks the firewall whether what it takes is sent to `listen`.
    pub(crate) fn of(listen: SocketAddr) -> Self {
        match program::table() {
            Ok(Some(table)) if Ruleset::leads_to(&table, listen) => Self::InForce,
            Ok(Some(_)) => Self::Elsewhere,
            Ok(None) => Self::Absent,
            Err(error) => Self::Unknown(format!("{error:#}")),
        }
    }
}
