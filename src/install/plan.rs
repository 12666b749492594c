//! What an installation would change, worked out without changing anything: from the host as it was found and what was chosen, to
//! steps in order.
//!
//! A further part of an installation is one more function that adds steps, called in [`plan`].

mod authority;
mod draft;
mod engine;
mod gates;
mod notes;
mod rules;
mod steering;

use std::path::PathBuf;

use draft::Draft;
use ramgate_egress::{AuthorityError, NewAuthority};
use ramgate_policy::Host as RegistryHost;
use serde_json::Value;

use super::host::Host;
use super::level::Level;
use super::step::Step;

/// What an administrator chose.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    pub(crate) level: Level,
    /// The policy to put in place of the one that is there, if any.
    pub(crate) policy: Option<Vec<u8>>,
    /// Registries to be allowed beside those of the policy.
    pub(crate) registries: Vec<String>,
    /// The program that runs, and where.
    pub(crate) program: Vec<u8>,
    pub(crate) program_path: PathBuf,
    /// Whether the images that are there are vouched for.
    pub(crate) adopt: bool,
    /// Whether there is a command that starts the gates, for hosts without systemd.
    pub(crate) can_start: bool,
    /// Whether there is one that restarts the engine.
    pub(crate) can_restart: bool,
    /// Makes an authority for the network gate, good for these hosts.
    pub(crate) authority: fn(&[RegistryHost]) -> Result<NewAuthority, AuthorityError>,
}

/// What would be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) level: Level,
    /// In order; those of the gates before those of the engine.
    pub(crate) steps: Vec<Step>,
    pub(crate) gates: Gates,
    /// The firewall's rules, where they are to be put in force.
    pub(crate) rules: Option<String>,
    pub(crate) engine: Apply,
    /// The certificate that the engine has to trust afterwards.
    pub(crate) trusted: Option<String>,
    /// How each registry is reached; only where the engine can be told.
    pub(crate) routes: Vec<(String, Route)>,
    /// What an administrator should know before agreeing.
    pub(crate) notes: Vec<String>,
    /// Whether an installation before it did not come to its end, and this one goes on with it.
    pub(crate) resumes: bool,
}

/// What becomes of the gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gates {
    /// They run as they should.
    Leave,
    Start,
    /// They run with what was before.
    Restart,
}

/// How the engine hears of its changes; each includes what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Apply {
    Nothing,
    /// By SIGHUP. Containers notice nothing.
    Reload,
    Restart,
}

/// How the engine reaches a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Through ramgate's mirror.
    Mirror,
    /// Itself, through the network gate: the users' own logins reach it.
    Direct,
    /// As directly, and the network gate reads what is asked for.
    Inspect,
}

/// Why nothing is planned; all reasons at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) Vec<String>);

/// Works out what it takes to have on `host` what was chosen.
///
/// # Errors
/// Everything that stands in the way.
pub(crate) fn plan(host: &Host, choices: &Choices) -> Result<Plan, Refusal> {
    let mut draft = Draft::new(host, choices);
    draft.refuse_less();
    draft.refuse_more();
    gates::draft(&mut draft);
    engine::draft(&mut draft);
    let engine = draft.apply();
    let gates = draft.gates();
    let rules = rules::in_force(&mut draft, gates);
    draft.warn_of_restart(engine);
    draft.offer_adoption();
    let journal = host.journal.as_ref();
    let resumes = journal.is_some_and(|record| record.unapplied || !record.pending.is_empty());
    if !draft.problems.is_empty() {
        return Err(Refusal(draft.problems));
    }
    Ok(Plan {
        level: choices.level,
        steps: draft.steps,
        gates,
        rules,
        engine,
        trusted: draft.certificate,
        routes: draft.routes,
        notes: draft.notes,
        resumes,
    })
}

// === impl Plan ===

impl Plan {
    /// Whether everything is as it should be already.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
            && self.gates == Gates::Leave
            && self.rules.is_none()
            && self.engine == Apply::Nothing
            && !self.resumes
    }
}

/// The strings of a list.
fn strings(value: Option<Value>) -> Vec<String> {
    let items = match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
