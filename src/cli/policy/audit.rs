//! What an audit log has seen: repositories, what was done with them, and by whom.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::Context as _;
use ramgate_policy::{Action, Registry, Repository, Subject};
use serde::Deserialize;

/// A request, as far as it bears on a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) repository: Repository,
    pub(super) action: Action,
    pub(super) principal: String,
}

/// The fields of a line that count.
#[derive(Deserialize)]
struct Line {
    decision: Option<String>,
    registry: Option<String>,
    repository: Option<String>,
    action: Option<String>,
    principal: Option<String>,
}

/// Reads an audit log: each request, and how often it was allowed (first) and denied. Lines that name no repository are passed
/// over.
pub(super) fn read(path: &Path) -> anyhow::Result<BTreeMap<Seen, (u64, u64)>> {
    let context = || path.display().to_string();
    let file = std::fs::File::open(path).with_context(context)?;
    let mut seen = BTreeMap::new();
    for line in BufReader::new(file).lines() {
        let line = line.with_context(context)?;
        // The last line may be half written.
        let Ok(line) = serde_json::from_str::<Line>(&line) else {
            continue;
        };
        let allowed = line.decision.as_deref() == Some("allow");
        if let Some(one) = line.read() {
            let (allows, denials) = seen.entry(one).or_default();
            *(if allowed { allows } else { denials }) += 1;
        }
    }
    Ok(seen)
}

// === impl Line ===

impl Line {
    fn read(self) -> Option<Seen> {
        let registry: Registry = self.registry?.parse().ok()?;
        let action = match self.action.as_deref()? {
            "pull" => Action::Pull,
            "push" => Action::Push,
            "run" => Action::Run,
            _ => return None,
        };
        Some(Seen {
            repository: Repository::new(registry, &self.repository?).ok()?,
            action,
            principal: self.principal.unwrap_or_default(),
        })
    }
}

// === impl Seen ===

impl Seen {
    pub(super) fn subject(&self) -> Subject {
        match self.principal.as_str() {
            "daemon" => Subject::Daemon,
            "" | "anonymous" => Subject::Anonymous,
            name => Subject::User(name.to_owned()),
        }
    }
}
