//! `ramgate check`: what would the policy say?

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ramgate_policy::{
    Action, Decision, Denial, Permit, Reference, Repository, Request, Step, Subject,
};
use serde_json::json;

use super::categories::{self, Sayings};
use super::{CommandError, Outcome, SettingsArgument, explanation, say};
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
    /// Ask nobody what a namespace of Docker Hub is.
    #[arg(long)]
    offline: bool,
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

/// What an answer is about.
struct About<'a> {
    reference: &'a Reference,
    subject: &'a Subject,
    steps: &'a [Step],
    sayings: &'a Sayings,
}

// === impl Check ===

impl Check {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let reference: Reference = self.reference.parse().map_err(|error| {
            let hint = if self.reference.contains("://") {
                "; a reference begins with the registry's host, without `https://`"
            } else {
                ""
            };
            CommandError::Usage(format!("`{}`: {error}{hint}", self.reference))
        })?;
        let repository = reference
            .repository()
            .map_err(|error| CommandError::Usage(format!("`{}`: {error}", self.reference)))?;
        let settings = match (&self.policy, self.offline) {
            // A policy that is looked at by itself, on whatever machine: nobody is asked.
            (Some(_), _) if !self.settings.is_given() => None,
            _ => Some(self.settings.load()?),
        };
        let mirrors = settings.as_ref().map(crate::serve::mirror_names);
        let path = match (&self.policy, &settings) {
            (Some(path), _) => path.clone(),
            (None, Some(settings)) => settings.policy_path.clone(),
            (None, None) => return Err(CommandError::Usage("there is no policy".to_owned())),
        };
        let policy = live_policy::load(&path)?.with_mirrors(mirrors.unwrap_or_default());
        let subject = self.user.clone().map_or(Subject::Anonymous, Subject::User);
        let request = Request {
            repository: &repository,
            action: self.action.into(),
            subject: &subject,
        };
        let asked = settings.as_ref().filter(|_| !self.offline);
        let ((decision, steps), sayings) = categories::settle(asked, |known| {
            (
                policy.evaluate_knowing(&request, known),
                policy.explain(&request, known),
            )
        })?;
        let about = About {
            reference: &reference,
            subject: &subject,
            steps: &steps,
            sayings: &sayings,
        };
        match decision {
            Decision::Allow(permit) => self.allowed(&permit, &about),
            Decision::Deny(denial) => self.denied(&repository, &denial, &about),
        }
    }

    /// What was judged, below the answer.
    fn explain(&self, about: &About<'_>) -> Result<(), CommandError> {
        let action: Action = self.action.into();
        say(format_args!("  reference {}", about.reference))?;
        say(format_args!(
            "  action    {action}, {}",
            about.subject.principal()
        ))?;
        explanation::lines(about.steps, about.sayings)
            .iter()
            .try_for_each(say)
    }

    fn allowed(&self, permit: &Permit, about: &About<'_>) -> Result<Outcome, CommandError> {
        let grant = permit.grant();
        if self.json {
            say(json!({
                "decision": "allow",
                "repository": permit.repository().to_string(),
                "action": permit.action().as_str(),
                "rule": grant.rule(),
                "would-be-denied": grant.suppressed().map(ToString::to_string),
                "reference": about.reference.to_string(),
                "subject": about.subject.principal(),
                "judged": explanation::json(about.steps, about.sayings),
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
            self.explain(about)?;
        }
        Ok(Outcome::Done)
    }

    fn denied(
        &self,
        repository: &Repository,
        denial: &Denial,
        about: &About<'_>,
    ) -> Result<Outcome, CommandError> {
        if self.json {
            let action: Action = self.action.into();
            say(json!({
                "decision": "deny",
                "repository": repository.to_string(),
                "action": action.as_str(),
                "rule": denial.rule(),
                "reason": denial.reason().code(),
                "message": denial.to_string(),
                "reference": about.reference.to_string(),
                "subject": about.subject.principal(),
                "judged": explanation::json(about.steps, about.sayings),
            }))?;
        } else {
            say(format_args!("denied: {denial}"))?;
            self.explain(about)?;
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
