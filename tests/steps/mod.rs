//! Instructions as a document gives them, so that tests can follow them to the letter.

use anyhow::{Context as _, Result, bail};

/// A block of instructions.
#[derive(Debug)]
pub(crate) enum Step {
    /// What to type, a line each.
    Commands(Vec<String>),
    /// What to have in `daemon.json`.
    DaemonJson(String),
}

// === impl Step ===

impl Step {
    /// The blocks of the section under `heading`: before the words "To undo it", and after them.
    pub(crate) fn of_section(document: &str, heading: &str) -> Result<(Vec<Self>, Vec<Self>)> {
        let (_, section) = document
            .split_once(&format!("\n## {heading}\n"))
            .with_context(|| format!("there is no section `{heading}`"))?;
        let section = section.split("\n## ").next().unwrap_or_default();
        let (install, undo) = section
            .split_once("\nTo undo it")
            .context("the section does not say how to undo it")?;
        Ok((Self::of(install)?, Self::of(undo)?))
    }

    fn of(text: &str) -> Result<Vec<Self>> {
        let blocks = text.split("```").skip(1).step_by(2);
        blocks
            .map(|block| match block.split_once('\n') {
                Some(("console", commands)) => {
                    let lines = commands.lines().map(str::trim);
                    let lines = lines.filter(|line| !line.is_empty());
                    Ok(Self::Commands(lines.map(str::to_owned).collect()))
                }
                Some(("json", json)) => Ok(Self::DaemonJson(json.to_owned())),
                _ => bail!("neither `console` nor `json`: {block}"),
            })
            .collect()
    }
}
