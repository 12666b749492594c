//! What was found, and what the documentation says of it: tables in Markdown, one for each level.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail, ensure};
use ramgate_lab::EngineKind;

use crate::stage::Level;

/// A level, a path and a target.
pub(crate) type Row = (Level, &'static str, &'static str);

/// A word for each path, target and engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    cells: BTreeMap<(String, &'static str), String>,
    /// In the order in which they came.
    rows: Vec<Row>,
}

// === impl Table ===

impl Table {
    /// What stands in `docs/egress.md`.
    pub(crate) fn documented() -> Result<Self> {
        let mut table = Self::default();
        for level in Level::ALL {
            let start = format!("### At level {}\n", level.name());
            let section = DOCUMENTATION
                .split_once(&start)
                .map_or("", |(_, rest)| rest);
            let lines = section.lines().skip_while(|line| !line.starts_with('|'));
            for line in lines.take_while(|line| line.starts_with('|')).skip(2) {
                let fields: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                let (Some((path, target)), Some(cells)) =
                    (fields.first().zip(fields.get(1)), fields.get(2..))
                else {
                    bail!("docs/egress.md: {line}")
                };
                ensure!(
                    cells.len() == EngineKind::ALL.len(),
                    "docs/egress.md: {line}"
                );
                for (kind, cell) in EngineKind::ALL.into_iter().zip(cells) {
                    let key = key(level, path, target);
                    table.cells.insert((key, kind.name()), (*cell).to_owned());
                }
            }
        }
        Ok(table)
    }

    pub(crate) fn cell(&self, (level, path, target): Row, kind: EngineKind) -> Option<&str> {
        let cell = self.cells.get(&(key(level, path, target), kind.name()));
        cell.map(String::as_str)
    }

    pub(crate) fn put(&mut self, row: Row, kind: EngineKind, cell: String) {
        let (level, path, target) = row;
        if !self.rows.contains(&row) {
            self.rows.push(row);
        }
        self.cells
            .insert((key(level, path, target), kind.name()), cell);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for level in Level::ALL {
            writeln!(formatter, "\n### At level {}\n", level.name())?;
            let engines = EngineKind::ALL.map(EngineKind::name).join(" | ");
            writeln!(formatter, "| path | what is asked for | {engines} |")?;
            writeln!(formatter, "|---|---|---|---|---|---|")?;
            for row in self.rows.iter().filter(|(of, ..)| *of == level) {
                let cells =
                    EngineKind::ALL.map(|kind| self.cell(*row, kind).unwrap_or("not tried"));
                writeln!(
                    formatter,
                    "| {} | {} | {} |",
                    row.1,
                    row.2,
                    cells.join(" | ")
                )?;
            }
        }
        Ok(())
    }
}

fn key(level: Level, path: &str, target: &str) -> String {
    format!("{} | {path} | {target}", level.name())
}

const DOCUMENTATION: &str = include_str!("../../docs/egress.md");
