//! The engine gate: a Docker authorization plugin that reads requests as dockerd will.
//!
//! A request goes `server → authorizer → engine_api (pure: request → questions) → policy → answer`. The `go_*` modules imitate
//! how Go reads paths, queries and JSON, and refuse what it would read in a way that a user would not. What images are, and not
//! what they are called, `identity` finds out from the ledger, which `registrar` and `watch` keep.
//!
//! Protocol: [Docker's authorization plugins](https://docs.docker.com/engine/extend/plugins_authorization/), as moby
//! `pkg/authorization` really speaks it.

mod answer;
mod audit;
mod authorizer;
mod call;
mod case;
mod delegating;
mod engine;
mod engine_api;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod gates;
mod go_form;
mod go_json;
mod go_path;
mod hosts_file;
mod identity;
mod location;
mod message;
mod metrics;
mod question;
mod registrar;
mod server;
mod unreadable;
mod watch;

pub use answer::Answer;
pub use authorizer::Authorizer;
pub use engine::{Engine, EngineError};
pub use engine_api::routes_document;
pub use gates::Gates;
pub use hosts_file::problems as hosts_file_problems;
pub use identity::Identity;
pub use metrics::Metrics;
pub use registrar::{Registrar, RegistrarError};
pub use server::serve;
pub use watch::Watch;
