//! `ramgate policy import docker-settings`: from the settings of a Docker organization to a policy.

mod settings;
mod terraform;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ramgate_policy::Policy;
use serde_json::Value;

use super::super::{CommandError, say};
use crate::settings::read_text;
use settings::Import;

/// Make a policy of settings that another product has.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Of Docker's Registry and Image Access Management.
    ///
    /// Takes, in any number of files:
    ///
    /// - what Docker Hub's API answers for an organization's settings and its registry access, as JSON;
    ///
    /// - Terraform's configuration (`.tf`, `.tf.json`) with the resources docker_org_setting_image_access_management and
    ///   docker_org_setting_registry_access_management of Docker's provider; where they take variables, give the output of
    ///   `terraform show -json`, of a plan or a state, instead;
    ///
    /// - Docker Desktop's `admin-settings.json`.
    ///
    /// The policy goes to stdout, what cannot be carried over to stderr.
    #[command(
        after_help = "Example: ramgate policy import docker-settings main.tf --organization acme > policy.json"
    )]
    DockerSettings {
        /// Files of any of these kinds.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Your namespace on Docker Hub, whose images are always allowed; may be given more than once.
        #[arg(long = "organization", value_name = "NAMESPACE")]
        organizations: Vec<String>,
    },
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let From::DockerSettings {
            files,
            organizations,
        } = &self.from;
        let mut import = Import::new(organizations.clone());
        for file in files {
            let usage =
                |problem: String| CommandError::Usage(format!("{}: {problem}", file.display()));
            let value = read(file)?;
            if !import.read(&value).map_err(usage)? {
                return Err(usage(
                    "there are no settings of Docker in it that ramgate knows".to_owned(),
                ));
            }
        }
        let (policy, notes) = import.policy();
        let text = format!("{policy:#}");
        Policy::parse(&text).map_err(|findings| CommandError::Usage(findings.to_string()))?;
        let mut stderr = std::io::stderr();
        for note in &notes {
            writeln!(stderr, "note: {note}")?;
        }
        say(text)
    }
}

fn read(file: &Path) -> Result<Value, CommandError> {
    let usage = |problem: String| CommandError::Usage(format!("{}: {problem}", file.display()));
    let text = read_text(file).map_err(|error| usage(error.to_string()))?;
    if file.extension().is_some_and(|extension| extension == "tf") {
        return terraform::read(&text).map_err(usage);
    }
    serde_json::from_str(&text).map_err(|error| {
        let hint = if text.contains("resource \"docker_") {
            "; Terraform's configuration is read from files that end in `.tf`"
        } else {
            ""
        };
        usage(format!("{error}{hint}"))
    })
}
