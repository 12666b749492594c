//! The registry gate: a pull-through mirror for any number of registries.
//!
//! A request goes `server → mirror → (path) → policy → (manifests | blobs) → (store | upstream) → answer`. The policy is asked
//! before the store on every request, and the store and the upstreams take the permit that it gave: content that was cached
//! while it was allowed is not served once it no longer is.
//!
//! Protocol: the pull side of the [OCI distribution spec](https://github.com/opencontainers/distribution-spec/blob/main/spec.md),
//! manifests and blobs.

mod answer;
mod audit;
mod blobs;
mod challenge;
mod config;
mod evidence;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod intake;
mod manifest;
mod manifests;
mod metrics;
mod mirror;
mod origins;
mod path;
mod referrers;
mod sending;
mod server;
mod store;
mod strict;
mod tags;
mod token;
mod upstream;

pub use config::{Config, Credentials, Upstream};
pub use intake::IntakeError;
pub use metrics::Metrics;
pub use mirror::{Mirror, MirrorError};
pub use reqwest::Url;
pub use server::serve;
