//! What is told: a row for each case, as a table for people or JSON for programs.

use std::fmt;

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::rounds::{Figure, Pair, Unit};

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Table {
    machine: Machine,
    rows: Vec<Row>,
    skipped: Vec<String>,
}

#[derive(Debug)]
struct Row {
    case: String,
    peer: String,
    pair: Pair,
    aim: Option<f64>,
}

// === impl Table ===

impl Table {
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            machine,
            rows: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Adds a case: ramgate's figure and that of `peer`. `aim` is the least ratio that is wanted, if one is.
    pub(crate) fn add(
        &mut self,
        case: impl Into<String>,
        peer: impl Into<String>,
        pair: Pair,
        aim: Option<f64>,
    ) {
        self.rows.push(Row {
            case: case.into(),
            peer: peer.into(),
            pair,
            aim,
        });
    }

    /// Says what was not measured, and why.
    pub(crate) fn skip(&mut self, what: &str, why: impl fmt::Display) {
        self.skipped.push(format!("{what}: {why}"));
    }

    /// Adds a version to the header.
    pub(crate) fn version(&mut self, version: String) {
        self.machine.add(version);
    }

    pub(crate) fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        json!({ "machine": self.machine.to_json(), "rows": rows, "skipped": self.skipped })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.machine)?;
        writeln!(formatter, "| case | ramgate | peer | ratio | aim |")?;
        writeln!(formatter, "|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(formatter, "{row}")?;
        }
        for skipped in &self.skipped {
            writeln!(formatter, "\nskipped: {skipped}")?;
        }
        Ok(())
    }
}

// === impl Row ===

impl Row {
    fn to_json(&self) -> Value {
        json!({
            "case": self.case,
            "ours": figure(&self.pair.ours),
            "peer": figure(&self.pair.peer),
            "peer-name": self.peer,
            "ratio": self.pair.ratio,
            "aim": self.aim,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { ours, peer, ratio } = &self.pair;
        write!(
            formatter,
            "| {} | {ours} | {}: {peer} | {ratio:.2} |",
            self.case, self.peer
        )?;
        // As people write it: 50, 0.97.
        let rounded = |aim: f64| (aim * 100.0).round() / 100.0;
        match self.aim {
            None => write!(formatter, " |"),
            Some(aim) if *ratio >= aim => write!(formatter, " ≥ {}: met |", rounded(aim)),
            Some(aim) => write!(formatter, " ≥ {}: **missed** |", rounded(aim)),
        }
    }
}

fn figure(figure: &Figure) -> Value {
    let unit = match figure.unit {
        Unit::PerSecond => "1/s",
        Unit::BytesPerSecond => "B/s",
        Unit::Seconds => "s",
        Unit::Bytes => "B",
    };
    json!({ "value": figure.value, "unit": unit, "p50-s": figure.p50, "p99-s": figure.p99, "cpu-s": figure.cpu })
}
