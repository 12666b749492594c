//! `ramgate audit top`: what was asked for most.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::line::{Line, Matter, shown};
use crate::cli::{CommandError, Outcome, say};
use crate::settings::duration;

#[derive(Debug, Args)]
pub(super) struct Top {
    /// Only what was denied.
    #[arg(long)]
    denied: bool,
    /// Only what is not older: `30m`, `24h`, `7d`.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// How many to show.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
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
    pub(super) fn run(&self, file: &Path) -> Result<Outcome, CommandError> {
        let counts = self.counts(file)?;
        if self.json {
            let text = serde_json::to_string_pretty(&counts)
                .context("answer")
                .map_err(CommandError::Failed)?;
            say(text)?;
            return Ok(Outcome::Done);
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
            let name = shown(&name);
            say(format_args!(
                "{count:>7}  {last:.0}  {decision:5}  {gate:6}  {name}  {reason}"
            ))?;
        }
        Ok(Outcome::Done)
    }

    /// The most frequent, the most frequent first.
    fn counts(&self, path: &Path) -> Result<Vec<Count>, CommandError> {
        let open = File::open(path).with_context(|| path.display().to_string());
        let oldest = self.oldest()?;
        let mut counts: HashMap<Matter, (u64, Timestamp)> = HashMap::new();
        for line in BufReader::new(open.map_err(CommandError::Failed)?).lines() {
            let Some(line) = Line::read(&line?) else {
                continue;
            };
            if (self.denied && !line.is_denied()) || line.timestamp < oldest {
                continue;
            }
            let timestamp = line.timestamp;
            let (count, last) = counts.entry(line.into_matter()).or_insert((0, timestamp));
            *count += 1;
            *last = timestamp.max(*last);
        }
        let mut counts: Vec<Count> = counts
            .into_iter()
            .map(|(matter, (count, last))| Count {
                count,
                last,
                matter,
            })
            .collect();
        counts.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.matter.cmp(&b.matter)));
        counts.truncate(self.limit);
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
