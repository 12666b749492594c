//! `ramgate policy init`: a policy to begin with.

mod questions;

use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use ramgate_policy::Policy;
use serde_json::{Value, json};

use super::super::{CommandError, SettingsArgument, say};
use questions::Questions;

/// Write a policy to begin with.
///
/// Docker Hub is allowed, and of its images as many as the level says. On a terminal the level, your organizations, other
/// registries and a contact are asked for, unless an option says them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ramgate policy init
  ramgate policy init --level publisher --organization acme --registry ghcr.io --audit --output policy.json")]
pub(super) struct Init {
    /// Where to; `-` is stdout. Without it, the place that the settings name. An existing file is never overwritten.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which of Docker Hub's images.
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// A namespace of your own on Docker Hub; may be given more than once.
    #[arg(long = "organization", value_name = "NAMESPACE")]
    organizations: Vec<String>,
    /// Another registry to pull from and push to; may be given more than once.
    #[arg(long = "registry", value_name = "HOST")]
    registries: Vec<String>,
    /// Whom users turn to.
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// Log what would be denied, and allow it.
    #[arg(long)]
    audit: bool,
    #[command(flatten)]
    settings: SettingsArgument,
}

/// Which of Docker Hub's images are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Your organizations' alone.
    Organization,
    /// Official images too.
    Official,
    /// Verified publishers' too.
    Publisher,
    /// Sponsored open source too.
    Sponsored,
    /// All: registries alone are managed.
    Community,
}

/// The policy that is written where nothing is said: what Docker switches on first, and nothing surprising.
pub(crate) fn starter() -> String {
    format!("{:#}\n", draft(Level::Official, false, &[], &[], None))
}

fn draft(
    level: Level,
    audit: bool,
    organizations: &[String],
    registries: &[String],
    contact: Option<&str>,
) -> Value {
    let mut listed = vec![json!({ "host": "docker.io" })];
    listed.extend(
        registries
            .iter()
            .map(|host| json!({ "host": host, "actions": ["pull", "push"] })),
    );
    let switch = |least: Level| {
        if level as u8 >= least as u8 {
            "allow"
        } else {
            "deny"
        }
    };
    let mut policy = json!({
        "version": 1,
        "mode": if audit { "audit" } else { "enforce" },
        "registries": listed,
        "docker-hub": {
            "organizations": organizations,
            "official": switch(Level::Official),
            "verified-publisher": switch(Level::Publisher),
            "sponsored-open-source": switch(Level::Sponsored),
            "community": switch(Level::Community),
            "repositories": [],
        },
    });
    if let (Some(contact), Some(policy)) = (contact, policy.as_object_mut()) {
        policy.insert("contact".to_owned(), json!(contact));
    }
    policy
}

// === impl Init ===

impl Init {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let nothing_said = self.level.is_none()
            && self.organizations.is_empty()
            && self.registries.is_empty()
            && self.contact.is_none();
        let to_stdout = self
            .output
            .as_deref()
            .is_some_and(|path| path.as_os_str() == "-");
        let policy = if nothing_said && !to_stdout && io::stdin().is_terminal() {
            let path = self.path()?;
            if path.exists() {
                return Err(there_is_one(&path));
            }
            self.asked(Questions::new(io::stdin().lock(), io::stderr()))?
        } else {
            draft(
                self.level.unwrap_or(Level::Official),
                self.audit,
                &self.organizations,
                &self.registries,
                self.contact.as_deref(),
            )
        };
        let text = format!("{policy:#}\n");
        Policy::parse(&text).map_err(|findings| CommandError::Usage(findings.to_string()))?;
        if to_stdout {
            return Ok(io::stdout().write_all(text.as_bytes())?);
        }
        let path = self.path()?;
        write(&path, &text)?;
        say(format_args!(
            "wrote {0}; edit it, then check it with `ramgate policy validate {0}`",
            path.display()
        ))
    }

    fn path(&self) -> Result<PathBuf, CommandError> {
        match &self.output {
            Some(path) => Ok(path.clone()),
            None => Ok(self.settings.load()?.policy_path),
        }
    }

    fn asked(
        &self,
        mut questions: Questions<impl BufRead, impl Write>,
    ) -> Result<Value, CommandError> {
        let level = questions.ask(
            "Which images of Docker Hub: organization, official, publisher, sponsored or community? [official]",
            |answer| match answer {
                "" => Ok(Level::Official),
                word => Level::from_str(word, true).map_err(|_| format!("`{word}` is none of these")),
            },
        )?;
        let organizations = questions.ask(
            "Your namespaces on Docker Hub, with spaces between? [none]",
            |answer| {
                let organizations = words(answer);
                checked(&draft(level, false, &organizations, &[], None)).map(|()| organizations)
            },
        )?;
        let registries = questions.ask(
            "Other registries to pull from and push to? [none]",
            |answer| {
                let registries = words(answer);
                checked(&draft(level, false, &[], &registries, None)).map(|()| registries)
            },
        )?;
        let contact = questions.ask("Whom do users turn to? [nobody]", |answer| {
            let contact = Some(answer.to_owned()).filter(|contact| !contact.is_empty());
            checked(&draft(level, false, &[], &[], contact.as_deref())).map(|()| contact)
        })?;
        Ok(draft(
            level,
            self.audit,
            &organizations,
            &registries,
            contact.as_deref(),
        ))
    }
}

/// What is wrong with a policy, without the places in a text that nobody has seen.
fn checked(policy: &Value) -> Result<(), String> {
    Policy::parse(&policy.to_string())
        .map(drop)
        .map_err(|findings| {
            let problems = findings.iter().map(|finding| finding.problem.clone());
            problems.collect::<Vec<_>>().join("; ")
        })
}

fn words(answer: &str) -> Vec<String> {
    answer
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Writes a new file, and the directories it lies in.
fn write(path: &Path, text: &str) -> Result<(), CommandError> {
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
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(CommandError::from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(there_is_one(path)),
        Err(error) => Err(CommandError::Failed(
            anyhow::Error::new(error).context(path.display().to_string()),
        )),
    }
}

fn there_is_one(path: &Path) -> CommandError {
    CommandError::Usage(format!(
        "{}: there is a policy already; it is left as it is",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_told_at_once_and_asked_for_again() {
        let init = Init {
            output: None,
            level: None,
            organizations: Vec::new(),
            registries: Vec::new(),
            contact: None,
            audit: true,
            settings: SettingsArgument { settings: None },
        };
        let answers = "most\npublisher\nAcme!\nacme\na..b\nghcr.io quay.io\n\n";
        let mut said = Vec::new();
        let policy = init
            .asked(Questions::new(answers.as_bytes(), &mut said))
            .unwrap();
        let expected = draft(
            Level::Publisher,
            true,
            &["acme".to_owned()],
            &["ghcr.io".to_owned(), "quay.io".to_owned()],
            None,
        );
        assert_eq!(policy, expected);
        let said = String::from_utf8(said).unwrap();
        for problem in [
            "`most` is none of these",
            "`Acme!` is no namespace",
            "`a..b`",
        ] {
            assert_eq!(said.matches(problem).count(), 1, "{said}");
        }
        let early = init.asked(Questions::new(&b"official\n"[..], io::sink()));
        assert!(matches!(early, Err(CommandError::Usage(_))));
    }
}
