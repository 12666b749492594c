//! A mirror before an upstream that is hostile, broken or slow: nothing wrong is served or kept, nothing leaks, and all is said in
//! the log.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

mod bodies;
mod challenges;
mod credentials;
mod crowds;
mod http2;
mod limits;
mod manifests;
mod names;
mod outages;
mod redirects;
mod stage;
mod upstream;
