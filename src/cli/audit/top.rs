//! `ramgate audit top`: what was asked for most.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::tail::{none, printable};
use crate::audit_reader::{self, Decision, readable};
use crate::cli::{CommandError, Outcome, SettingsArgument, say};
use crate::settings::duration;

/// Count decisions by what they were about.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate audit top --denied --since 7d\n  ramgate audit top --json"
)]
pub(super) struct Top {
    /// Only what was denied.
    #[arg(long)]
    denied: bool,
    /// Only what is not older: `30m`, `24h`, `7d`.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// How many to show.
    #[arg(long, value_name = "NUMBER", default_value = "20")]
    limit: NonZeroUsize,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgument,
}

/// What a decision was about: those with the same are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
struct Matter {
    /// A repository, or a host where no repository was seen; `-` for what could not be read.
    name: String,
    decision: String,
    reason: String,
    gate: String,
}

/// How often something was decided, and when last.
#[derive(Debug, Serialize)]
struct Count {
    count: u64,
    last: Timestamp,
    #[serde(flatten)]
    matter: Matter,
}

// === impl Top ===

impl Top {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let path = self.settings.load()?.audit.path;
        readable(&path).map_err(CommandError::Failed)?;
        let counts = self.counts(&path)?;
        if self.json {
            let text = serde_json::to_string_pretty(&counts)
                .context("answer")
                .map_err(CommandError::Failed)?;
            say(text)?;
            return Ok(Outcome::Done);
        }
        if counts.is_empty() {
            none(self.denied)?;
            return Ok(Outcome::Done);
        }
        // Programs read the lines alone.
        if io::stdout().is_terminal() {
            say(format_args!(
                "{:>7}  {:<20}  {:<8}  {:<7}  {}",
                "count", "last", "decision", "gate", "what, why"
            ))?;
        }
        for Count {
            count,
            last,
            matter,
        } in counts
        {
            let Matter {
                name,
                decision,
                reason,
                gate,
            } = matter;
            let (name, reason) = (printable(&name), printable(&reason));
            say(format_args!(
                "{count:>7}  {last:.0}  {decision:<8}  {gate:<7}  {name}  {reason}"
            ))?;
        }
        Ok(Outcome::Done)
    }

    /// The most frequent, the most frequent first.
    fn counts(&self, path: &Path) -> Result<Vec<Count>, CommandError> {
        let oldest = self.oldest()?;
        let mut counts: HashMap<Matter, (u64, Timestamp)> = HashMap::new();
        audit_reader::visit(path, |decision| {
            let Ok(when) = decision.text("timestamp").parse::<Timestamp>() else {
                return;
            };
            if (self.denied && !decision.is_denial()) || when < oldest {
                return;
            }
            let (count, last) = counts.entry(Matter::of(&decision)).or_insert((0, when));
            *count += 1;
            *last = when.max(*last);
        })?;
        let mut counts: Vec<Count> = counts
            .into_iter()
            .map(|(matter, (count, last))| Count {
                count,
                last,
                matter,
            })
            .collect();
        counts.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.matter.cmp(&b.matter)));
        counts.truncate(self.limit.get());
        Ok(counts)
    }

    fn oldest(&self) -> Result<Timestamp, CommandError> {
        let Some(since) = self.since else {
            return Ok(Timestamp::MIN);
        };
        let oldest = Timestamp::now().checked_sub(since);
        oldest.map_err(|error| CommandError::Usage(format!("--since: {error}")))
    }
}

// === impl Matter ===

impl Matter {
    fn of(decision: &Decision) -> Self {
        let field = |name| decision.text(name).to_owned();
        Self {
            name: decision.subject(),
            decision: field("decision"),
            reason: field("reason"),
            gate: field("gate"),
        }
    }
}
