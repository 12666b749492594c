//! What is known of content. Today: that it is what its digest says.

mod verifier;

pub use verifier::{Verified, Verifier};
