//! What Docker Hub says of its namespaces: whose are a verified publisher's, and whose a sponsored open-source project's.
//!
//! The policy decides and asks nobody. A gate decides through [`Catalog::settle`]: the decision is made with what is known; if
//! it turns on a namespace that nobody asked about, Docker Hub is asked, once for all who wait, and the decision is made again.
//!
//! 1. **Known.** An [`Entry`] is kept in memory and on disk until it expires. From then on it is used a while longer, and Docker
//!    Hub is asked behind the decision, not before it.
//! 2. **Asked.** One request a namespace at a time, few at once, none while Docker Hub says to wait. Who waits, waits no longer
//!    than [`Config::patience`].
//! 3. **Not known.** Unknown, unreachable and expired count as community; the denial says which it was.
//! 4. **Carried.** Where Docker Hub cannot be reached, entries come in a signed [`Bundle`].

mod bundle;
mod catalog;
mod clock;
mod config;
mod entry;
mod hub;
mod known;
mod metrics;
mod shelf;

pub use bundle::{Bundle, BundleError, SigningKey, TrustedKey};
pub use catalog::{Catalog, CatalogError, Shown, Summary};
pub use config::Config;
pub use entry::{Entry, Source};
pub use metrics::Metrics;
