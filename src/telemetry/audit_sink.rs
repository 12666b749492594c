//! Where decisions go: into the audit log's file, and from the same line to whoever else is to be told.
//!
//! It is the audit log's thread that tells them. A decision itself waits for none of them.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tracing::Level;

use super::journal::{Entry, Journal};
use super::otlp::Queue;
use crate::audit_file::OpenAuditFile;
use crate::audit_log::complain;
use crate::audit_reader::Decision;

/// Takes lines that are whole.
#[derive(Debug)]
pub(crate) struct AuditSink {
    pub(super) file: OpenAuditFile,
    pub(super) journal: Option<JournalOfDecisions>,
    pub(super) collector: Option<Queue>,
}

/// The journal, of which one that takes nothing is left alone for a while.
#[derive(Debug)]
pub(crate) struct JournalOfDecisions {
    journal: Journal,
    alone_until: Option<Instant>,
}

// === impl AuditSink ===

impl Write for AuditSink {
    /// The file first: it is what is relied on.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        // Whole, so that no line is told twice.
        self.file.write_all(lines)?;
        if self.journal.is_some() || self.collector.is_some() {
            lines
                .split(|byte| *byte == b'\n')
                .filter_map(Decision::parse)
                .for_each(|decision| self.tell(decision));
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl AuditSink {
    fn tell(&mut self, decision: Decision) {
        if let Some(journal) = &mut self.journal {
            journal.tell(&decision);
        }
        if let Some(collector) = &self.collector {
            collector.offer(decision);
        }
    }
}

// === impl JournalOfDecisions ===

impl JournalOfDecisions {
    pub(super) fn open() -> io::Result<Self> {
        Journal::open(Some(PATIENCE)).map(Self::from)
    }

    fn tell(&mut self, decision: &Decision) {
        let now = Instant::now();
        if self.alone_until.is_some_and(|until| now < until) {
            return;
        }
        let sent = self.journal.send(&entry(decision));
        match (&sent, self.alone_until) {
            (Err(error), None) => {
                complain(&format!("the journal takes no decisions for now: {error}"))
            }
            (Ok(()), Some(_)) => complain("the journal takes decisions again"),
            (Err(_), Some(_)) | (Ok(()), None) => {}
        }
        self.alone_until = sent.err().map(|_| Instant::now() + PAUSE);
    }
}

impl From<Journal> for JournalOfDecisions {
    fn from(journal: Journal) -> Self {
        Self {
            journal,
            alone_until: None,
        }
    }
}

fn entry(decision: &Decision) -> Entry {
    let level = decision.text("level").parse().unwrap_or(Level::INFO);
    let mut entry = Entry::new(level, decision.text("message"));
    for (name, value) in decision.fields() {
        if !matches!(name, "timestamp" | "level" | "message") {
            entry.add(name, &value);
        }
    }
    entry
}

/// How long the audit log waits for the journal, and how long it then does without.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::super::journal::tests::{received, stand_in};
    use super::*;
    use crate::audit_file::AuditFile;

    const LINE: &str = r#"{"timestamp":"2026-11-25T22:00:01.123456Z","level":"INFO","gate":"mirror","decision":"deny","id":"00c0ffee","port":443,"message":"pull denied"}"#;

    fn sink(directory: &tempfile::TempDir, journal: Option<Journal>) -> AuditSink {
        let file = AuditFile {
            path: directory.path().join("audit.jsonl"),
            max_size_bytes: 0,
            keep: 0,
            sync: false,
        };
        AuditSink {
            file: file.open().unwrap(),
            journal: journal.map(JournalOfDecisions::from),
            collector: None,
        }
    }

    #[test]
    fn the_journal_is_told_what_the_file_is() {
        let (journal, socket, directory) = stand_in(Some(PATIENCE));
        let mut sink = sink(&directory, Some(journal));
        sink.write_all(format!("{LINE}\n{LINE}\n").as_bytes())
            .unwrap();
        for _ in 0..2 {
            let fields = received(&socket);
            assert_eq!(fields["RAMGATE_DECISION_ID"], "00c0ffee");
            assert_eq!(fields["RAMGATE_GATE"], "mirror");
            assert_eq!(fields["RAMGATE_PORT"], "443");
            assert_eq!(
                fields["MESSAGE"],
                "pull denied decision=deny gate=mirror id=00c0ffee port=443"
            );
        }
        let written = std::fs::read_to_string(directory.path().join("audit.jsonl")).unwrap();
        assert_eq!(written.lines().count(), 2);
    }

    #[test]
    fn a_journal_that_takes_nothing_holds_up_the_file_once_and_not_at_every_line() {
        let (journal, _socket, directory) = stand_in(Some(PATIENCE));
        let mut sink = sink(&directory, Some(journal));
        let long = LINE.replace("mirror", &"m".repeat(20_000));
        let began = Instant::now();
        for _ in 0..500 {
            sink.write_all(format!("{long}\n").as_bytes()).unwrap();
        }
        assert!(began.elapsed() < PAUSE, "{:?}", began.elapsed());
        assert!(sink.journal.unwrap().alone_until.is_some());
        let written = std::fs::read_to_string(directory.path().join("audit.jsonl")).unwrap();
        assert_eq!(written.lines().count(), 500);
    }
}
