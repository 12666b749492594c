//! Registry and image access management for Docker Engine on Linux servers.
//!
//! The program puts one policy behind three gates: an authorization plugin, a pull-through mirror and a forward proxy.
//! `ARCHITECTURE.md` says how they belong together.

mod audit_file;
mod audit_line;
mod audit_log;
mod audit_reader;
mod catalog;
mod cli;
mod control;
mod doctor;
mod engine_report;
mod fingerprint;
mod images;
mod inspection;
mod install;
mod ledger;
mod live_policy;
mod metrics;
mod nft;
mod remedy;
mod serve;
mod settings;
mod signals;
mod sockets;
mod storage;
mod telemetry;
mod trust;
mod unix;
mod watchdog;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
