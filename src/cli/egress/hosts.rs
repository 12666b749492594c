//! `ramgate egress hosts`: which hosts a well-known registry opens beside its own, and who says so.

use clap::Args;
use ramgate_policy::{KNOWN_REGISTRIES, KnownRegistry, Registry};
use serde_json::{Value, json};

use crate::cli::{CommandError, Outcome, say};

/// Print which hosts an allowed registry opens beside its own, where that is built in: with the source, and when it was read.
#[derive(Debug, Args)]
pub(super) struct Hosts {
    /// Of this registry alone, as `ghcr.io`.
    registry: Option<Registry>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

// === impl Hosts ===

impl Hosts {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let asked = |known: &&KnownRegistry| {
            let registry = self.registry.as_ref();
            registry.is_none_or(|registry| known.describes(registry))
        };
        let all: Vec<&KnownRegistry> = KNOWN_REGISTRIES.iter().filter(asked).collect();
        if let (Some(registry), true) = (&self.registry, all.is_empty()) {
            return Err(CommandError::Failed(anyhow::anyhow!(
                "nothing is built in for {registry}; ask it, by an image that it has: `ramgate egress probe {registry}/team/app:1`"
            )));
        }
        if self.json {
            let all: Vec<Value> = all.into_iter().map(to_json).collect();
            say(json!(all))?;
            return Ok(Outcome::Done);
        }
        for known in all {
            say(format_args!(
                "{} ({}, {})",
                known.registry, known.source, known.seen
            ))?;
            for host in known.hosts {
                say(format_args!("  {host}"))?;
            }
            for host in known.tokens {
                say(format_args!("  {host} (tokens)"))?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn to_json(known: &KnownRegistry) -> Value {
    json!({
        "registry": known.registry,
        "hosts": known.hosts,
        "tokens": known.tokens,
        "source": known.source,
        "seen": known.seen,
    })
}
