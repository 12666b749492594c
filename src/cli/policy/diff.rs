//! `ramgate policy diff`: what another policy would change.

use std::path::{Path, PathBuf};

use clap::Args;
use ramgate_policy::{Categories, Decision, Policy, Request};
use serde_json::json;

use super::super::{CommandError, SettingsArgument, categories, say};
use super::audit::{self, Seen};
use crate::live_policy;

/// Show which of the requests in an audit log two policies decide differently.
///
/// Each is said once, with how often it was seen, what decides it by the one policy and what by the other. Drop-ins beside either
/// policy are taken in.
#[derive(Debug, Args)]
#[command(after_help = "Example: ramgate policy diff /etc/ramgate/policy.json learned.json")]
pub(super) struct Diff {
    /// The policy that is.
    before: PathBuf,
    /// The policy that is to be.
    after: PathBuf,
    /// The audit log; without it, the one that the settings name.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Ask nobody what a namespace of Docker Hub is.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    settings: SettingsArgument,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Whether it is allowed, and the rule or the denial's text.
type Answer = (bool, String);

// === impl Diff ===

impl Diff {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let load = |path: &Path| live_policy::load(path).map_err(CommandError::from);
        let (before, after) = (load(&self.before)?, load(&self.after)?);
        let settings = self.settings.load()?;
        let log = self.audit.as_deref().unwrap_or(&settings.audit.path);
        let seen = audit::read(log).map_err(CommandError::Failed)?;
        let asked = Some(&settings).filter(|_| !self.offline);
        let (changed, _) = categories::settle(asked, |known| {
            let mut changed = Vec::new();
            for (one, (allows, denials)) in &seen {
                let answers = (answer(&before, one, known), answer(&after, one, known));
                if answers.0.0 != answers.1.0 {
                    changed.push((one.clone(), allows + denials, answers));
                }
            }
            changed
        })?;
        for (one, times, (was, is)) in &changed {
            let decision = |answer: &Answer| if answer.0 { "allowed" } else { "denied" };
            if self.json {
                say(json!({
                    "repository": one.repository.to_string(), "action": one.action.as_str(),
                    "principal": one.principal, "times": times,
                    "before": { "decision": decision(was), "by": was.1 },
                    "after": { "decision": decision(is), "by": is.1 },
                }))?;
            } else {
                say(format_args!(
                    "{} of {} by {}, {times} times: {} → {} ({})",
                    one.action,
                    one.repository,
                    one.principal,
                    decision(was),
                    decision(is),
                    is.1
                ))?;
            }
        }
        if self.json {
            return Ok(());
        }
        say(format_args!(
            "{} of {} requests would be decided differently",
            changed.len(),
            seen.len()
        ))
    }
}

fn answer(policy: &Policy, seen: &Seen, known: &dyn Categories) -> Answer {
    let request = Request {
        repository: &seen.repository,
        action: seen.action,
        subject: &seen.subject(),
    };
    match policy.evaluate_knowing(&request, known) {
        // What an audit lets through, it would deny once enforced: that is what one wants to see before one enforces it.
        Decision::Allow(permit) => match permit.grant().suppressed() {
            Some(denial) => (false, denial.to_string()),
            None => (true, permit.grant().rule().to_owned()),
        },
        Decision::Deny(denial) => (false, denial.to_string()),
    }
}
