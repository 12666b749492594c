//! `ramgate policy test`: references, and what is to become of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ramgate_policy::document::Document;
use ramgate_policy::{
    Action, Categories, Category, Decision, Doubt, Policy, Repository, Request, Standing, Subject,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::{CommandError, Outcome, say};
use crate::live_policy;
use crate::settings::{listed, read_text};

/// Try a policy with files of references and what is to become of them.
///
/// Exit codes: 0 all as expected, 1 not all, 64 a file is wrong. Nobody is asked what a namespace of Docker Hub is: the files
/// say it, in `namespaces`.
#[derive(Debug, Args)]
#[command(
    after_help = "A file:\n  { \"namespaces\": { \"grafana\": \"verified-publisher\" },\n    \
                        \"tests\": [ { \"reference\": \"grafana/grafana\", \"expect\": \"allow\" },\n               \
                        { \"reference\": \"ghcr.io/acme/app\", \"action\": \"push\", \"as\": \"ci-1\", \"expect\": \"deny\" } ] }"
)]
pub(super) struct Test {
    /// Files of tests.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The policy.
    #[arg(long, value_name = "FILE", default_value = "/etc/ramgate/policy.json")]
    policy: PathBuf,
    /// How the outcome is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// What is not as expected, and how many there were.
    Human,
    /// The Test Anything Protocol.
    Tap,
    /// `JUnit`'s XML.
    Junit,
}

/// A file of tests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TrialsFile {
    /// What namespaces of Docker Hub are; one that is not here is not known.
    #[serde(default)]
    namespaces: BTreeMap<String, Category>,
    tests: Vec<Trial>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Trial {
    reference: String,
    #[serde(default)]
    action: ActionWord,
    /// The caller's name. Absent: without identity.
    #[serde(default, rename = "as")]
    caller: Option<String>,
    expect: Expected,
    /// The rule that decides, if that is to be tried too.
    #[serde(default)]
    rule: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ActionWord {
    #[default]
    Pull,
    Push,
    Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    Allow,
    Deny,
}

/// A trial that was made.
struct Tried {
    name: String,
    /// What is not as expected.
    problem: Option<String>,
}

// === impl Test ===

impl Test {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let policy = live_policy::load(&self.policy)?;
        let mut tried = Vec::new();
        for file in &self.files {
            tried.extend(try_file(&policy, file)?);
        }
        let failed = tried.iter().filter(|one| one.problem.is_some()).count();
        match self.format {
            Format::Human => human(&tried, failed)?,
            Format::Tap => tap(&tried)?,
            Format::Junit => junit(&tried, failed)?,
        }
        if failed == 0 {
            Ok(Outcome::Done)
        } else {
            Err(CommandError::Failed(anyhow::anyhow!(
                "{failed} of {} decisions are not as expected",
                tried.len()
            )))
        }
    }
}

fn try_file(policy: &Policy, path: &Path) -> Result<Vec<Tried>, CommandError> {
    let wrong = |text: String| CommandError::Usage(text);
    let text = read_text(path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
    let document =
        Document::<TrialsFile>::read(&text).map_err(|findings| wrong(listed(path, &findings)))?;
    let file = &document.value;
    let mut tried = Vec::new();
    for (index, trial) in file.tests.iter().enumerate() {
        let repository = trial.reference.parse::<Repository>().map_err(|error| {
            let key = format!("tests[{index}].reference");
            let finding = document.finding(&key, format!("`{}`: {error}", trial.reference));
            wrong(listed(path, &finding.into()))
        })?;
        tried.push(trial.on(policy, &repository, file));
    }
    Ok(tried)
}

// === impl Trial ===

impl Trial {
    fn on(&self, policy: &Policy, repository: &Repository, file: &TrialsFile) -> Tried {
        let action = match self.action {
            ActionWord::Pull => Action::Pull,
            ActionWord::Push => Action::Push,
            ActionWord::Run => Action::Run,
        };
        let subject = self
            .caller
            .clone()
            .map_or(Subject::Anonymous, Subject::User);
        let request = Request {
            repository,
            action,
            subject: &subject,
        };
        let (got, rule, text) = match policy.evaluate_knowing(&request, file) {
            // In audit mode what counts is what would be.
            Decision::Allow(permit) => match permit.grant().suppressed() {
                Some(denial) => (Expected::Deny, denial.rule(), denial.to_string()),
                None => {
                    let rule = permit.grant().rule().to_owned();
                    (Expected::Allow, rule.clone(), rule)
                }
            },
            Decision::Deny(denial) => (Expected::Deny, denial.rule(), denial.to_string()),
        };
        let problem = if got != self.expect {
            Some(format!("{}: {text}", word(got)))
        } else {
            let other = self.rule.as_ref().filter(|expected| **expected != rule);
            other.map(|expected| format!("decided by {rule}, not by {expected}"))
        };
        Tried {
            name: format!(
                "{action} of {} as {} is {}",
                self.reference,
                subject.principal(),
                word(self.expect)
            ),
            problem,
        }
    }
}

impl Categories for TrialsFile {
    fn standing(&self, namespace: &str) -> Standing {
        self.namespaces
            .get(namespace)
            .map_or(Standing::Unknown(Doubt::NotAsked), |category| {
                Standing::Is(*category)
            })
    }
}

const fn word(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allowed",
        Expected::Deny => "denied",
    }
}

fn human(tried: &[Tried], failed: usize) -> Result<(), CommandError> {
    for one in tried {
        if let Some(problem) = &one.problem {
            say(format_args!("not as expected: {}\n  {problem}", one.name))?;
        }
    }
    say(format_args!(
        "{} as expected, {failed} not",
        tried.len() - failed
    ))
}

fn tap(tried: &[Tried]) -> Result<(), CommandError> {
    say("TAP version 14")?;
    say(format_args!("1..{}", tried.len()))?;
    for (index, one) in tried.iter().enumerate() {
        let number = index + 1;
        // `#` begins a directive.
        let name = one.name.replace('#', "\\#");
        match &one.problem {
            None => say(format_args!("ok {number} - {name}"))?,
            Some(problem) => say(format_args!("not ok {number} - {name}\n# {problem}"))?,
        }
    }
    Ok(())
}

fn junit(tried: &[Tried], failed: usize) -> Result<(), CommandError> {
    say("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    say(format_args!(
        "<testsuite name=\"ramgate policy\" tests=\"{}\" failures=\"{failed}\">",
        tried.len()
    ))?;
    for one in tried {
        let name = escaped(&one.name);
        match &one.problem {
            None => say(format_args!(
                "  <testcase classname=\"policy\" name=\"{name}\"/>"
            ))?,
            Some(problem) => say(format_args!(
                "  <testcase classname=\"policy\" name=\"{name}\"><failure message=\"{}\"/></testcase>",
                escaped(problem)
            ))?,
        }
    }
    say("</testsuite>")
}

fn escaped(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}
