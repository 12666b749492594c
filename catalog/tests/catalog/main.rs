//! The catalogue against a server that answers as Docker Hub does, and as it should not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod bundles;
mod cache;
mod hub;
mod needs;
