//! `ramgate audit tail`: the last decisions, and those that follow.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;

use super::super::{CommandError, Outcome, SettingsArgument, say};
use crate::audit_reader::{Decision, Follower, last, readable};

/// Show the last decisions, a line each.
///
/// Time, decision, gate, what was asked for, why, by whom, and the ID that the user has read with a refusal.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate audit tail --denied\n  ramgate audit tail --follow --json | jq .repository"
)]
pub(super) struct Tail {
    /// How many.
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Refusals alone.
    #[arg(long)]
    denied: bool,
    /// Go on with those that follow, until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// As they stand in the log.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgument,
}

// === impl Tail ===

impl Tail {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let path = self.settings.load()?.audit.path;
        let wanted = |decision: &Decision| !self.denied || decision.is_denial();
        let failed = |error: io::Error| {
            CommandError::Failed(anyhow::Error::new(error).context(path.display().to_string()))
        };
        // Before the last are read, so that none is missed in between; one that comes just then may be shown twice.
        let follower = self.follow.then(|| Follower::at_end(&path)).transpose();
        let follower = follower.map_err(failed)?;
        readable(&path).map_err(CommandError::Failed)?;
        let found = last(&path, self.lines, wanted).map_err(failed)?;
        if found.is_empty() && !self.json {
            none(self.denied)?;
        }
        for decision in found {
            self.show(decision)?;
        }
        let Some(mut follower) = follower else {
            return Ok(Outcome::Done);
        };
        loop {
            match follower.next().map_err(failed)? {
                Some(decision) if wanted(&decision) => self.show(decision)?,
                Some(_) => {}
                None => std::thread::sleep(PAUSE),
            }
        }
    }

    fn show(&self, decision: Decision) -> Result<(), CommandError> {
        if self.json {
            return say(decision.into_json());
        }
        say(line(&decision, is_coloured()))
    }
}

/// That there is nothing to show, so that nobody waits for it. Not to stdout, which programs read.
pub(super) fn none(denied: bool) -> Result<(), CommandError> {
    let what = if denied { "denied" } else { "decided" };
    writeln!(
        io::stderr(),
        "ramgate: nothing was {what} yet, as far as the audit log goes back"
    )?;
    Ok(())
}

/// Whether whoever reads sees colours, and wants to: <https://no-color.org>.
pub(super) fn is_coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|word| !word.is_empty());
    io::stdout().is_terminal() && !unwanted
}

/// One line for one decision.
pub(in crate::cli) fn line(decision: &Decision, colour: bool) -> String {
    let time = decision.text("timestamp");
    // To the second, in UTC.
    let time = time.get(..19).unwrap_or(time);
    let word = decision.text("decision");
    let word = match (colour, decision.is_denial()) {
        (true, true) => format!("\u{1b}[31m{word:<5}\u{1b}[0m"),
        (true, false) => format!("\u{1b}[32m{word:<5}\u{1b}[0m"),
        (false, _) => format!("{word:<5}"),
    };
    let or_dash = |field| match decision.text(field) {
        "" => "-",
        text => text,
    };
    // A proxy sees no action, but how it is asked.
    let asked = match decision.text("action") {
        "" => or_dash("method"),
        action => action,
    };
    let reason = match decision.text("reason") {
        "" if !decision.is_denial() => "allowed",
        reason => reason,
    };
    let id = decision.text("id");
    let id = if id.is_empty() {
        String::new()
    } else {
        format!("  id {id}")
    };
    format!(
        "{time}Z  {word}  {:<6}  {:<7}  {}  {} ({})  {}{id}",
        printable(decision.text("gate")),
        printable(asked),
        printable(&decision.subject()),
        printable(reason),
        printable(or_dash("rule")),
        printable(or_dash("principal")),
    )
}

/// What a terminal shows as it stands: names come from those who ask, and may hold what a terminal obeys.
pub(in crate::cli) fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if letter.is_control() || ('\u{202a}'..='\u{202e}').contains(&letter) {
                char::REPLACEMENT_CHARACTER
            } else {
                letter
            }
        })
        .collect()
}

/// Short for an eye, long for a processor.
const PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_decided_and_obeys_nobody() {
        let line = |json: &str| super::line(&Decision::parse(json.as_bytes()).unwrap(), false);
        assert_eq!(
            line(
                r#"{"timestamp":"2026-11-25T22:00:01.123456Z","gate":"plugin","decision":"deny","id":"00c0ffee",
                "reason":"category-not-allowed","rule":"docker-hub.community","registry":"docker.io",
                "repository":"evil/tool","action":"pull","principal":"alice"}"#
            ),
            "2026-11-25T22:00:01Z  deny   plugin  pull     docker.io/evil/tool  category-not-allowed \
             (docker-hub.community)  alice  id 00c0ffee"
        );
        assert_eq!(
            line(
                r#"{"timestamp":"2026-11-25T22:00:01.123456Z","gate":"egress","decision":"allow","reason":"",
                "rule":"registries[ghcr.io]","registry":"ghcr.io","port":443,"method":"CONNECT","principal":"daemon"}"#
            ),
            "2026-11-25T22:00:01Z  allow  egress  CONNECT  ghcr.io  allowed (registries[ghcr.io])  daemon"
        );
        let evil = line("{\"repository\":\"\\u001b[2J\\u202ex\",\"gate\":\"mirror\"}");
        assert!(
            !evil.contains('\u{1b}') && !evil.contains('\u{202e}'),
            "{evil}"
        );
    }
}
