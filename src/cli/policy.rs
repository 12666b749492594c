//! `ramgate policy`: write, check and describe the policy.

mod audit;
mod diff;
mod export;
mod import;
mod init;
mod learn;
mod trials;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ramgate_policy::Policy;
use serde_json::json;

pub(crate) use init::starter;

use super::{CommandError, Outcome, say};
use crate::live_policy::{self, PolicyError};

/// Write, check or describe the policy.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a policy to begin with; on a terminal, after a few questions.
    Init(init::Init),
    /// Check a policy file; every mistake is shown, with its line and key.
    ///
    /// Drop-ins in the folder beside it, `policy.d` for `policy.json`, are checked with it.
    Validate {
        /// The policy file.
        file: PathBuf,
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of policy files, for editors.
    ///
    /// Name it in the policy, `"$schema": "policy.schema.json"`, and an editor completes keys and marks mistakes.
    #[command(after_help = "Example: ramgate policy schema > policy.schema.json")]
    Schema,
    /// Try a policy with files of references and what is to become of them.
    Test(trials::Test),
    /// Show which of the requests in an audit log two policies decide differently.
    Diff(diff::Diff),
    /// Propose a policy that allows what an audit log has seen.
    Learn(learn::Learn),
    /// Make a policy of settings that another product has.
    Import(import::Arguments),
    /// Print the policy that is in force as one file, or as settings for Docker.
    Export(export::Export),
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        match &self.command {
            Command::Init(command) => command.run()?,
            Command::Test(command) => return command.run(),
            Command::Diff(command) => command.run()?,
            Command::Learn(command) => command.run()?,
            Command::Import(command) => command.run()?,
            Command::Export(command) => command.run()?,
            Command::Validate { file, json } => validate(file, *json)?,
            Command::Schema => say(format_args!("{:#}", Policy::schema()))?,
        }
        Ok(Outcome::Done)
    }
}

fn validate(file: &Path, as_json: bool) -> Result<(), CommandError> {
    let result = live_policy::load(file);
    if as_json {
        let findings: Vec<serde_json::Value> = match &result {
            Ok(_) => Vec::new(),
            Err(PolicyError::Invalid { findings, .. }) => findings
                .iter()
                .map(|finding| json!({ "line": finding.line, "column": finding.column, "key": finding.key, "problem": finding.problem }))
                .collect(),
            Err(error) => vec![json!({ "line": null, "key": null, "problem": error.to_string() })],
        };
        say(json!({ "file": file, "valid": result.is_ok(), "findings": findings }))?;
    }
    let policy = match result {
        Ok(policy) => policy,
        Err(error) => return Err(CommandError::Usage(pointed_at(file, &error))),
    };
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

/// The line of a finding, and a caret under its place.
fn pointed_at(file: &Path, error: &PolicyError) -> String {
    let PolicyError::Invalid { path, findings } = error else {
        return error.to_string();
    };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = String::new();
    for finding in findings.iter() {
        let line = lines.get(finding.line.saturating_sub(1)).copied();
        let line = line.unwrap_or_default();
        shown.push_str(&format!("{}: {finding}\n", path.display()));
        // A line that is no line for people is not shown.
        if line.len() <= SHOWN_LINE_MAX_BYTES && !line.trim().is_empty() {
            let line = line.replace('\t', " ");
            let before = " ".repeat(finding.column.saturating_sub(1));
            shown.push_str(&format!("  {line}\n  {before}^\n"));
        }
    }
    if path != file {
        shown.push_str("this file is a drop-in beside the policy\n");
    }
    shown
}

const SHOWN_LINE_MAX_BYTES: usize = 400;
