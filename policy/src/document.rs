//! Strict reading of configuration: JSON in which every mistake is found at once, with its line and key.
//!
//! serde stops at the first mistake and keeps the last of two equal keys. A policy is read by an administrator under
//! pressure and by an attacker at leisure, so here nothing is skipped: unknown and duplicate keys, wrong types and trailing
//! bytes are all findings. What is allowed is read off the JSON Schema that `schemars` derives from the types, so that the
//! published schema and the parser cannot differ.

mod lines;
mod schema;
mod walk;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use lines::Lines;

pub use walk::STRICT;

/// A JSON text that was read. Where its keys stand is looked up when there is something to say of one, and not before: of a hundred
/// thousand rules without a mistake no place is wanted.
#[derive(Debug)]
pub struct Document<'a, T> {
    /// The value.
    pub value: T,
    lines: Lines<'a>,
    places: OnceCell<HashMap<String, usize>>,
}

/// Line and column of a byte, from 1.
type Place = (usize, usize);

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Line in the text, from 1.
    pub line: usize,
    /// Column in the line, in characters from 1.
    pub column: usize,
    /// Key, as in `registries[0].host`; empty for the whole.
    pub key: String,
    /// What is wrong and what is expected.
    pub problem: String,
}

/// All mistakes of a configuration, in order of their lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

// === impl Document ===

impl<'a, T: DeserializeOwned + JsonSchema> Document<'a, T> {
    /// Reads `text` strictly.
    ///
    /// # Errors
    /// Every mistake, at once.
    pub fn read(text: &'a str) -> Result<Self, Findings> {
        let schema = schemars::schema_for!(T);
        let lines = Lines::new(text);
        Findings::none_of(walk::findings(&lines, schema.as_value())?)?;
        let value = serde_json::from_str(text).map_err(|error| {
            Findings::one((error.line(), error.column()), "", error.to_string())
        })?;
        Ok(Self {
            value,
            lines,
            places: OnceCell::new(),
        })
    }
}

impl<T: JsonSchema> Document<'_, T> {
    /// A finding at `key`, with the line where it, or the nearest key around it, stands.
    #[must_use]
    pub fn finding(&self, key: &str, problem: impl Into<String>) -> Finding {
        let places = self.places.get_or_init(|| {
            let schema = schemars::schema_for!(T);
            walk::places(&self.lines, schema.as_value())
        });
        let mut around = Some(key);
        let offset = loop {
            match around {
                Some(key) if !places.contains_key(key) => around = lines::outer(key),
                found => break found.and_then(|key| places.get(key)),
            }
        };
        let (line, column) = offset.map_or((1, 1), |offset| self.lines.of(*offset));
        Finding {
            line,
            column,
            key: key.to_owned(),
            problem: problem.into(),
        }
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.problem)
    }
}

// === impl Findings ===

impl Findings {
    /// `Ok` if there are none.
    ///
    /// # Errors
    /// The findings, sorted by line.
    pub fn none_of(mut findings: Vec<Finding>) -> Result<(), Self> {
        findings.sort();
        findings.dedup();
        if findings.is_empty() {
            Ok(())
        } else {
            Err(Self(findings))
        }
    }

    fn one((line, column): Place, key: &str, problem: impl Into<String>) -> Self {
        Self(vec![Finding {
            line,
            column,
            key: key.to_owned(),
            problem: problem.into(),
        }])
    }

    /// The findings.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self(vec![finding])
    }
}
