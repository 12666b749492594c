//! What administrators and their monitoring see of gates that run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod audit;
mod collector;
mod doctor;
mod monitoring;
mod served;
