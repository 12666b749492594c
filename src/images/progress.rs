//! How far something is: a bar for each blob where a person looks on.

use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ramgate_policy::Digest;

/// The bars of one command.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
}

/// How far one blob is.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
}

// === impl Progress ===

impl Progress {
    /// Bars on a terminal; none for `quiet` and in scripts.
    pub(crate) fn new(quiet: bool) -> Self {
        let seen = !quiet && std::io::stderr().is_terminal();
        Self {
            bars: seen.then(MultiProgress::new),
        }
    }

    pub(crate) fn bar(&self, digest: &Digest, size: u64) -> Bar {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(size));
            if let Ok(style) = ProgressStyle::with_template(BAR) {
                bar.set_style(style.progress_chars("=> "));
            }
            let name = digest.encoded().get(..12).unwrap_or_default();
            bar.set_prefix(name.to_owned());
            bar
        });
        Bar { bar }
    }
}

// === impl Bar ===

impl Bar {
    pub(crate) fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    pub(crate) fn end(&self, word: &'static str) {
        if let Some(bar) = &self.bar {
            bar.set_position(bar.length().unwrap_or_default());
            bar.abandon_with_message(word);
        }
    }
}

const BAR: &str = "{prefix} [{bar:30}] {bytes:>10} of {total_bytes:<10} {bytes_per_sec:>12} {msg}";
