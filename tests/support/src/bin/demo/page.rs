//! The transcript as it is printed: with colours on a terminal, plain elsewhere.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};

/// Where the transcript is written.
#[derive(Debug)]
pub(crate) struct Page {
    coloured: bool,
    /// Whether the next command or note stands off from what is above it.
    gap: Cell<bool>,
    interrupted: Arc<AtomicBool>,
}

/// What a check speaks of: which gate has done it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The authorization plugin.
    Engine,
    /// The mirror.
    Registry,
    /// The egress proxy.
    Network,
    /// More than one.
    All,
}

/// Text in a colour, or without.
struct Painted<'a> {
    code: Option<&'static str>,
    text: &'a dyn Display,
}

// === impl Page ===

impl Page {
    /// Standard output. Coloured on a terminal, unless `NO_COLOR` is set: <https://no-color.org>.
    pub(crate) fn stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            coloured: io::stdout().is_terminal() && !unwanted,
            gap: Cell::default(),
            interrupted: Arc::default(),
        }
    }

    /// Set from outside when the user has had enough.
    pub(crate) fn interrupted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// The head of a step.
    pub(crate) fn title(&self, number: usize, title: &str) -> Result<()> {
        self.line(&"")?;
        self.gap.set(false);
        self.line(&self.painted(BOLD, &format!("{number}. {title}")))
    }

    /// What is done or shown next, in a sentence.
    pub(crate) fn note(&self, text: &str) -> Result<()> {
        self.stand_off()?;
        self.line(&format!("  {}", self.painted(CYAN, &format!("# {text}"))))
    }

    /// A command, as a user types it.
    pub(crate) fn command(&self, command: &str) -> Result<()> {
        self.stand_off()?;
        let command = command.replace('\n', "\n  ");
        self.line(&format!(
            "  {} {}",
            self.painted(DIM, &"$"),
            self.painted(BOLD, &command)
        ))
    }

    /// What a command printed.
    pub(crate) fn output(&self, text: &str) -> Result<()> {
        for line in text.lines() {
            self.line(&format!("  {}", self.painted(DIM, &line)))?;
        }
        Ok(())
    }

    /// What was shown, and found to be so.
    pub(crate) fn shown(&self, gate: Gate, caption: &str) -> Result<()> {
        self.gap.set(true);
        let tick = self.painted(GREEN, &"✔");
        self.line(&format!(
            "  {tick} {}: {caption}",
            self.painted(BOLD, &gate)
        ))
    }

    /// What did not go as it should.
    pub(crate) fn unexpected(&self, error: &anyhow::Error) -> Result<()> {
        let cross = self.painted(RED, &"✘");
        self.line(&format!("  {cross} {}", format!("{error:#}").trim_end()))?;
        self.line(&"")?;
        self.line(&self.painted(RED, &"The demo ends here: this is not as it should be."))
    }

    /// The last lines.
    pub(crate) fn end(&self) -> Result<()> {
        self.line(&"")?;
        self.line(&self.painted(GREEN, &"All of it went as it should."))
    }

    fn stand_off(&self) -> Result<()> {
        if self.gap.replace(false) {
            self.line(&"")?;
        }
        Ok(())
    }

    /// One line, at once.
    pub(crate) fn line(&self, line: &dyn Display) -> Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", line.to_string().trim_end())?;
        stdout.flush()?;
        if self.is_interrupted() {
            bail!("interrupted");
        }
        Ok(())
    }

    fn painted<'a>(&self, code: &'static str, text: &'a dyn Display) -> Painted<'a> {
        Painted {
            code: self.coloured.then_some(code),
            text,
        }
    }
}

// === impl Gate ===

impl Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "engine gate",
            Self::Registry => "registry gate",
            Self::Network => "network gate",
            Self::All => "all gates",
        })
    }
}

// === impl Painted ===

impl Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_page_has_no_escapes_and_a_coloured_one_closes_each() {
        let page = |coloured| Page {
            coloured,
            gap: Cell::default(),
            interrupted: Arc::default(),
        };
        assert_eq!(page(false).painted(RED, &"x").to_string(), "x");
        assert_eq!(
            page(true).painted(RED, &"x").to_string(),
            "\x1b[31mx\x1b[0m"
        );
    }
}
