//! `ramgate check`: what would the policy say?

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ramgate_policy::{Action, Decision, Denial, Permit, Reference, Repository, Request, Subject};
use serde_json::json;

use super::{CommandError, Outcome, SettingsArgument, say};
use crate::live_policy;

/// Ask the policy about a reference, without an engine.
///
/// Prints whether it is allowed, and by which rule. The exit code says the same: 0 allowed, 2 denied.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate check alpine:3\n  ramgate check ghcr.io/acme/app --action push --as alice --json"
)]
pub(super) struct Check {
    /// A reference as one gives it to docker, such as `alpine:3` or `ghcr.io/acme/app`.
    reference: String,
    /// What is done with it.
    #[arg(long, value_enum, default_value_t = ActionArgument::Pull)]
    action: ActionArgument,
    /// The caller's name; without it, a caller without identity.
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// The policy file; without it, the one that the settings name.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgument,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ActionArgument {
    Pull,
    Push,
    Run,
}

// === impl Check ===

impl Check {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let reference: Reference = self
            .reference
            .parse()
            .map_err(|error| CommandError::Usage(format!("`{}`: {error}", self.reference)))?;
        let repository = reference
            .repository()
            .map_err(|error| CommandError::Usage(format!("`{}`: {error}", self.reference)))?;
        let (path, mirrors) = match &self.policy {
            Some(path) => (path.clone(), Vec::new()),
            None => {
                let settings = self.settings.load()?;
                let mirrors = crate::serve::mirror_names(&settings);
                (settings.policy_path, mirrors)
            }
        };
        let policy = live_policy::load(&path)?.with_mirrors(mirrors);
        let subject = self.user.clone().map_or(Subject::Anonymous, Subject::User);
        let request = Request {
            repository: &repository,
            action: self.action.into(),
            subject: &subject,
        };
        match policy.evaluate(&request) {
            Decision::Allow(permit) => self.allowed(&permit),
            Decision::Deny(denial) => self.denied(&repository, &denial),
        }
    }

    fn allowed(&self, permit: &Permit) -> Result<Outcome, CommandError> {
        let grant = permit.grant();
        if self.json {
            say(json!({
                "decision": "allow",
                "repository": permit.repository().to_string(),
                "action": permit.action().as_str(),
                "rule": grant.rule(),
                "would-be-denied": grant.suppressed().map(ToString::to_string),
            }))?;
        } else {
            say(format_args!(
                "allowed: {} of {} ({})",
                permit.action(),
                permit.repository(),
                grant.rule()
            ))?;
            if let Some(denial) = grant.suppressed() {
                say(format_args!("once enforced: {denial}"))?;
            }
        }
        Ok(Outcome::Done)
    }

    fn denied(&self, repository: &Repository, denial: &Denial) -> Result<Outcome, CommandError> {
        if self.json {
            let action: Action = self.action.into();
            say(json!({
                "decision": "deny",
                "repository": repository.to_string(),
                "action": action.as_str(),
                "rule": denial.rule(),
                "reason": denial.reason().code(),
                "message": denial.to_string(),
            }))?;
        } else {
            say(format_args!("denied: {denial}"))?;
        }
        Ok(Outcome::Denied)
    }
}

// === impl ActionArgument ===

impl From<ActionArgument> for Action {
    fn from(argument: ActionArgument) -> Self {
        match argument {
            ActionArgument::Pull => Self::Pull,
            ActionArgument::Push => Self::Push,
            ActionArgument::Run => Self::Run,
        }
    }
}
