//! What an audit log has seen: repositories, what was done with them, and by whom.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use ramgate_policy::{Action, Host, Registry, Repository, Subject};

use crate::audit_reader::{Decision, readable, visit};

/// A request, as far as it bears on a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) repository: Repository,
    pub(super) action: Action,
    pub(super) principal: String,
    /// Whether it is the address of whoever's connection was captured, rather than a name that was proven.
    is_address: bool,
}

/// Reads an audit log and what it was moved away to: each request, and how often it was allowed (first) and denied. Lines that
/// name no repository are passed over.
pub(super) fn read(path: &Path) -> anyhow::Result<BTreeMap<Seen, (u64, u64)>> {
    readable(path)?;
    let mut seen = BTreeMap::new();
    visit(path, |decision| {
        if let Some(one) = Seen::of(&decision) {
            let (allows, denials) = seen.entry(one).or_default();
            let is_allowed = decision.text("decision") == "allow";
            *(if is_allowed { allows } else { denials }) += 1;
        }
    })
    .with_context(|| path.display().to_string())?;
    Ok(seen)
}

// === impl Seen ===

impl Seen {
    fn of(decision: &Decision) -> Option<Self> {
        let registry: Registry = decision.text("registry").parse().ok()?;
        let action = match decision.text("action") {
            "pull" => Action::Pull,
            "push" => Action::Push,
            "run" => Action::Run,
            _ => return None,
        };
        let principal = decision.text("principal").to_owned();
        Some(Self {
            repository: Repository::new(registry, decision.text("repository")).ok()?,
            action,
            // Of those who have repositories in their lines, inspection alone knows addresses.
            is_address: decision.text("gate") == "inspect" && principal != "daemon",
            principal,
        })
    }

    pub(super) fn subject(&self) -> Subject {
        match self.principal.as_str() {
            "daemon" => Subject::Daemon,
            "" | "anonymous" => Subject::Anonymous,
            address if self.is_address => {
                // The policy judges all addresses alike, and one that cannot be read as nobody's.
                let address = address.parse::<IpAddr>().map(Host::from);
                address.map_or(Subject::Anonymous, Subject::Address)
            }
            name => Subject::User(name.to_owned()),
        }
    }
}
