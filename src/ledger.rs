//! The ledger as administrators see it: what can be asked of it, answered by a running ramgate or without one.

mod desk;
mod entry;

pub(crate) use desk::{Ask, Desk};
pub(crate) use entry::Entry;
