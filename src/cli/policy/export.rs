//! `ramgate policy export`: the policy that is in force, for others to take.

mod docker;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ramgate_policy::Policy;

use super::super::{CommandError, SettingsArgument, say};
use crate::live_policy;
use docker::DockerSettings;

/// Print the policy that is in force as one file, or as settings for Docker.
///
/// The policy and its drop-ins become one. What is printed allows nothing that they deny together; what the form cannot say is left
/// out and named on stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ramgate policy export > host.json
  ramgate policy export --to terraform --organization acme > ramgate.tf.json
  ramgate policy export --to docker-settings | jq '.\"registry-access-management\"'")]
pub(super) struct Export {
    /// The policy file; without it, the one that the settings name.
    file: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Form::Policy)]
    to: Form,
    /// The organization on Docker Hub that the settings are for; without it, the first of docker-hub.organizations.
    #[arg(long, value_name = "NAMESPACE")]
    organization: Option<String>,
    #[command(flatten)]
    settings: SettingsArgument,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A policy of ramgate's.
    Policy,
    /// What Docker Hub's API takes: `settings` for /v2/orgs/NAME/settings, `registry-access-management` for the one below it.
    DockerSettings,
    /// Terraform's JSON syntax, with the resources of Docker's provider.
    Terraform,
}

// === impl Export ===

impl Export {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let path = match &self.file {
            Some(file) => file.clone(),
            None => self.settings.load()?.policy_path,
        };
        let folded =
            live_policy::folded(&path)?.map_err(|error| CommandError::Failed(error.into()))?;
        let mut notes = folded.notes;
        let text = if self.to == Form::Policy {
            let text = pretty(&folded.file)?;
            // What is handed on is what the next one reads.
            Policy::parse(&text).map_err(|findings| CommandError::Failed(findings.into()))?;
            text
        } else {
            let settings = DockerSettings::of(&folded.file);
            notes.extend(settings.notes.iter().cloned());
            if self.to == Form::Terraform {
                let first = || {
                    folded
                        .file
                        .docker_hub
                        .as_ref()?
                        .organizations
                        .first()
                        .cloned()
                };
                let organization = self.organization.clone().or_else(first).ok_or_else(|| {
                    CommandError::Usage(
                        "for which organization, the policy does not say; give --organization"
                            .to_owned(),
                    )
                })?;
                pretty(&settings.terraform(&organization))?
            } else {
                pretty(&settings.api())?
            }
        };
        let mut stderr = std::io::stderr();
        for note in &notes {
            writeln!(stderr, "note: {note}")?;
        }
        say(text)
    }
}

fn pretty(value: &impl serde::Serialize) -> Result<String, CommandError> {
    serde_json::to_string_pretty(value).map_err(|error| CommandError::Failed(error.into()))
}
