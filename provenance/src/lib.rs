//! What is known of content: that it is what its digest says, where it came from, and what it rests on.
//!
//! An engine forgets where an image came from, and believes its name. So it is kept here, by image ID: [`Record`]s in a
//! [`Ledger`], from which a [`Judge`] decides with the policy of now.

mod canary;
mod chain;
mod decision_id;
mod delegation;
mod judgement;
mod ledger;
mod record;
mod trace_context;
mod verifier;

pub use canary::{Canaries, Canary};
pub use chain::chain_ids;
pub use decision_id::DecisionId;
pub use delegation::Delegations;
pub use judgement::Judge;
pub use ledger::{Ledger, LedgerError, Mount, Opened};
pub use record::{Base, Record, Way};
pub use trace_context::{InvalidTraceContext, TraceContext};
pub use verifier::{Verified, Verifier};
