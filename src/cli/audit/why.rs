//! `ramgate audit why`: the refusal with an ID that a user has read.

use anyhow::anyhow;
use clap::Args;

use super::super::{CommandError, Outcome, SettingsArgument, say};
use super::tail::{is_coloured, line, printable};
use crate::audit_reader::{Decision, last, readable};
use crate::remedy::remedy;

/// Explain the refusal with an ID that a user has read.
///
/// The text of a refusal ends with `(id …)`: eight hexadecimal digits.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ramgate audit why 7f3a9c12")]
pub(super) struct Why {
    /// The ID.
    id: String,
    /// As it stands in the log.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgument,
}

// === impl Why ===

impl Why {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let id = bare(&self.id).to_ascii_lowercase();
        if id.len() != DIGITS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(CommandError::Usage(format!(
                "`{}` is no ID of a refusal; it is eight hexadecimal digits, as `7f3a9c12`",
                self.id
            )));
        }
        let path = self.settings.load()?.audit.path;
        readable(&path).map_err(CommandError::Failed)?;
        let found = last(&path, 1, |decision| decision.text("id") == id)?;
        let Some(decision) = found.into_iter().next() else {
            return Err(CommandError::Failed(anyhow!(
                "no decision with the ID `{id}` is in {}, nor in what it was moved away to",
                path.display()
            )));
        };
        if self.json {
            say(decision.into_json())?;
        } else {
            explain(&decision)?;
        }
        Ok(Outcome::Done)
    }
}

/// The ID alone of what somebody has copied: `(id 7f3a9c12)`.
fn bare(text: &str) -> &str {
    let text = text.trim().trim_start_matches('(').trim_end_matches(')');
    text.strip_prefix("id ").unwrap_or(text).trim()
}

fn explain(decision: &Decision) -> Result<(), CommandError> {
    say(format_args!("{}\n", line(decision, is_coloured())))?;
    for (name, value) in decision.fields() {
        say(format_args!("{name:<12} {}", printable(&value)))?;
    }
    say(format_args!(
        "\nwhat to do: {}",
        remedy(decision.text("reason"))
    ))
}

const DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_as_it_is_copied() {
        for text in [
            "7f3a9c12",
            "(id 7f3a9c12)",
            "id 7f3a9c12",
            " (id 7f3a9c12) ",
        ] {
            assert_eq!(bare(text), "7f3a9c12", "{text}");
        }
    }
}
