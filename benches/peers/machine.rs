//! On what it was measured.

use std::fmt;
use std::fs;

use serde_json::{Value, json};

/// The machine and the versions.
#[derive(Debug)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    /// Of the minute before: others at work make figures worse and ratios uncertain.
    load: String,
    rounds: usize,
    versions: Vec<String>,
}

// === impl Machine ===

impl Machine {
    /// Looks at the machine.
    pub(crate) fn look(rounds: usize) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let processor = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .and_then(|line| line.split_once(':'))
            .map_or("unknown processor", |(_, name)| name.trim());
        Self {
            processor: processor.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            rounds,
            versions: vec![concat!("ramgate ", env!("CARGO_PKG_VERSION")).to_owned()],
        }
    }

    pub(crate) fn add(&mut self, version: String) {
        if !self.versions.contains(&version) {
            self.versions.push(version);
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "processor": self.processor,
            "cores": self.cores,
            "kernel": self.kernel,
            "load-before": self.load,
            "rounds": self.rounds,
            "versions": self.versions,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            kernel,
            load,
            rounds,
            versions,
        } = self;
        let versions = versions.join(", ");
        writeln!(
            formatter,
            "{cores} cores of {processor}, Linux {kernel}, load {load} before. {versions}. Medians of {rounds} alternating rounds."
        )
    }
}
