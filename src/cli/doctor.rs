//! `ramgate doctor`: does it hold?

use clap::Args;

use super::audit::printable;
use super::{CommandError, Outcome, SettingsArgument, say};
use crate::doctor::{Cell, Facts, Finding, Granularity, Health, Path, Report, State};

/// Find out whether the policy holds on this engine, and what gets past it.
///
/// Asks the live engine for things that must be refused, and looks where its settings lead. For each way to an image it says whether
/// the policy is enforced there, and what to do where it is not. The exit code is 0 if all is enforced and nothing is bad, else 1.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: SettingsArgument,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
    /// Mend what can be mended without a risk: modes of files.
    #[arg(long)]
    fix: bool,
}

// === impl Doctor ===

impl Doctor {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let facts = runtime.block_on(Facts::gather(settings));
        let report = Report::examine(&facts, self.fix);
        if self.json {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|error| CommandError::Failed(error.into()))?;
            say(text)?;
        } else {
            map(&report.coverage)?;
            report.findings.iter().try_for_each(finding)?;
        }
        if report.is_sound() {
            Ok(Outcome::Done)
        } else {
            Ok(Outcome::Failed)
        }
    }
}

fn map(cells: &[Cell]) -> Result<(), CommandError> {
    let titles = Granularity::ALL.map(|granularity| format!("{:<11}", granularity.title()));
    say(format_args!("{:<15}{}", "", titles.concat()))?;
    for path in Path::ALL {
        let of_path = cells.iter().filter(|cell| cell.path == path);
        let words: String = of_path
            .map(|cell| match cell.state {
                State::Enforced => "enforced   ",
                State::Open => "OPEN       ",
                State::NotApplicable => "-          ",
            })
            .collect();
        say(format_args!("{:<15}{}", path.title(), words.trim_end()))?;
    }
    say("")?;
    for (reason, fix, fields) in openings(cells) {
        say(format_args!("OPEN     {}: {reason}", fields.join(", ")))?;
        if let Some(fix) = fix {
            say(format_args!("         {fix}"))?;
        }
    }
    Ok(())
}

/// What is open, each reason once, with the fields that it is the reason for.
fn openings(cells: &[Cell]) -> Vec<(&'static str, Option<&'static str>, Vec<String>)> {
    let mut openings: Vec<(&str, Option<&str>, Vec<String>)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.state == State::Open) {
        let field = format!("{} by {}", cell.path.title(), cell.granularity.title());
        let known = openings
            .iter_mut()
            .find(|(reason, fix, _)| (*reason, *fix) == (cell.reason, cell.fix));
        match known {
            Some((_, _, fields)) => fields.push(field),
            None => openings.push((cell.reason, cell.fix, vec![field])),
        }
    }
    openings
}

fn finding(finding: &Finding) -> Result<(), CommandError> {
    let word = match finding.health {
        Health::Ok => "ok",
        Health::Warning => "warning",
        Health::Bad => "BAD",
    };
    say(format_args!(
        "{word:<8} {}: {}",
        finding.check,
        printable(&finding.says)
    ))?;
    match &finding.fix {
        Some(fix) => say(format_args!("         {}", printable(fix))),
        None => Ok(()),
    }
}
