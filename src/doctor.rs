//! Finds out whether what the policy says holds on this engine, and what gets past it. A file for each check.

mod builders;
mod coverage;
mod engine;
mod facts;
mod gates;
mod hosts;
mod images;
mod inspection;
mod machine;
mod permissions;
mod policy;
mod transparent;
mod units;

use serde::Serialize;

pub(crate) use coverage::{Cell, Granularity, Path, State};
pub(crate) use facts::Facts;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The check.
    pub(crate) check: &'static str,
    pub(crate) health: Health,
    /// What is.
    pub(crate) says: String,
    /// What mends it.
    pub(crate) fix: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Health {
    /// As it should be.
    Ok,
    /// To be known; nothing gets past the policy by it alone.
    Warning,
    /// To be mended.
    Bad,
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) coverage: Vec<Cell>,
    pub(crate) findings: Vec<Finding>,
}

// === impl Report ===

impl Report {
    /// Examines what was gathered, and the machine. With `fix`, mends what can be mended without a risk.
    pub(crate) fn examine(facts: &Facts, fix: bool) -> Self {
        let findings = [
            policy::check(facts),
            engine::check(facts),
            gates::check(facts),
            transparent::check(facts),
            hosts::check(facts),
            inspection::check(facts),
            permissions::check(facts, fix),
            builders::check(facts),
            images::check(facts),
            units::check(facts),
            machine::check(facts),
        ];
        Self {
            coverage: coverage::map(&facts.terms()),
            findings: findings.into_iter().flatten().collect(),
        }
    }

    /// Whether all is enforced and nothing is bad.
    pub(crate) fn is_sound(&self) -> bool {
        let open = self.coverage.iter().any(|cell| cell.state == State::Open);
        let bad = self
            .findings
            .iter()
            .any(|found| found.health == Health::Bad);
        !open && !bad
    }
}

// === impl Finding ===

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self {
            check,
            health: Health::Ok,
            says: says.into(),
            fix: None,
        }
    }

    fn warning(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check,
            health: Health::Warning,
            says: says.into(),
            fix: Some(fix.into()),
        }
    }

    fn bad(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            health: Health::Bad,
            ..Self::warning(check, says, fix)
        }
    }
}

#[cfg(test)]
mod tests;
