//! The registry gate: a pull-through mirror for any number of registries.
//!
//! A request goes `server → mirror → (path) → policy → (manifests | blobs) → (store | upstream) → answer`. The policy is asked
//! before the store on every request, and the store and the upstreams take the permit that it gave: content that was cached
//! while it was allowed is not served once it no longer is.
//!
//! Protocol: the pull side of the [OCI distribution spec](https://github.com/opencontainers/distribution-spec/blob/main/spec.md),
//! manifests and blobs.

mod absent;
mod admission;
mod ambiguity;
mod answer;
mod asking;
mod audit;
mod blobs;
mod challenge;
mod config;
mod credentials;
mod evidence;
mod flight;
mod freshness;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod inspection;
mod intake;
mod lane;
mod lists;
mod manifest;
mod manifests;
mod metrics;
mod mirror;
mod origins;
mod path;
mod pin;
mod probe;
mod range;
mod referrers;
mod sending;
mod server;
mod site_proxy;
mod storage;
mod store;
mod tags;
mod token;
mod upkeep;
mod upstream;
mod wire;

pub use config::{Config, Login, LoginSource, Timeouts, Upstream};
pub use credentials::is_helper_name;
pub use inspection::Inspector;
pub use intake::IntakeError;
pub use metrics::Metrics;
pub use mirror::{Mirror, MirrorError};
pub use pin::{InvalidPin, Pin};
pub use probe::ProbeError;
pub use reqwest::Url;
pub use server::serve;
pub use site_proxy::SiteProxy;
pub use storage::{BucketPlace, Place, Storage};
pub use upkeep::{Collected, RepositoryStatistics, Statistics, Upkeep, Verification};
pub use upstream::Rate;
