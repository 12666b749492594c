//! `ramgate policy`: write, check and describe the policy.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ramgate_policy::Policy;
use serde_json::json;

use super::{CommandError, Outcome, SettingsArgument, say};
use crate::live_policy::{self, PolicyError};

/// Write, check or describe the policy.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a policy to begin with: Docker Hub is allowed, and of its images the official ones.
    Init {
        /// Where to; `-` is stdout. Without it, the place that the settings name. An existing file is never overwritten.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        settings: SettingsArgument,
    },
    /// Check a policy file; every mistake is shown, with its line and key.
    Validate {
        /// The policy file.
        file: PathBuf,
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of policy files, for editors.
    Schema,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        match &self.command {
            Command::Init {
                output: Some(path), ..
            } if path.as_os_str() == "-" => {
                io::stdout().write_all(STARTER.as_bytes())?;
            }
            Command::Init { output, settings } => {
                let path = match output {
                    Some(path) => path.clone(),
                    None => settings.load()?.policy_path,
                };
                init(&path)?;
                say(format_args!(
                    "wrote {}; edit it, then check it with `ramgate policy validate`",
                    path.display()
                ))?;
            }
            Command::Validate { file, json } => validate(file, *json)?,
            Command::Schema => say(format_args!("{:#}", Policy::schema()))?,
        }
        Ok(Outcome::Done)
    }
}

fn init(path: &Path) -> Result<(), CommandError> {
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        std::fs::create_dir_all(directory)
            .with_context(|| directory.display().to_string())
            .map_err(CommandError::Failed)?;
    }
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    match created {
        Ok(mut file) => file
            .write_all(STARTER.as_bytes())
            .map_err(CommandError::from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(CommandError::Usage(format!(
                "{}: there is a policy already; it is left as it is",
                path.display()
            )))
        }
        Err(error) => Err(CommandError::Failed(
            anyhow::Error::new(error).context(path.display().to_string()),
        )),
    }
}

fn validate(file: &Path, as_json: bool) -> Result<(), CommandError> {
    let result = live_policy::load(file);
    if as_json {
        let findings: Vec<serde_json::Value> = match &result {
            Ok(_) => Vec::new(),
            Err(PolicyError::Invalid { findings, .. }) => findings
                .iter()
                .map(|finding| json!({ "line": finding.line, "key": finding.key, "problem": finding.problem }))
                .collect(),
            Err(error) => vec![json!({ "line": null, "key": null, "problem": error.to_string() })],
        };
        say(json!({ "file": file, "valid": result.is_ok(), "findings": findings }))?;
    }
    let policy = result?;
    if !as_json {
        let mode = if policy.is_audit() {
            "; mode is audit: denials are logged and not enforced"
        } else {
            ""
        };
        say(format_args!("{}: valid{mode}", file.display()))?;
    }
    Ok(())
}

/// What Docker switches on first, and nothing surprising: Docker Hub, its official images, and no content that came by no
/// pull.
pub(crate) const STARTER: &str = r#"{
  "version": 1,
  "mode": "enforce",
  "registries": [
    { "host": "docker.io" }
  ],
  "docker-hub": {
    "organizations": [],
    "official": "allow",
    "verified-publisher": "deny",
    "sponsored-open-source": "deny",
    "community": "deny",
    "repositories": []
  }
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_to_begin_with_is_valid() {
        assert!(Policy::parse(STARTER).is_ok());
    }
}
