//! The mirror as its clients meet it, before registries that are made for the purpose: what Debian's lacks is here.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says where"
)]

mod fixture;
mod origin;
mod spec;
