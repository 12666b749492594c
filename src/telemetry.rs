//! What ramgate tells: logs, on stderr or to the journal; and its decisions, one JSON object each, in the audit log and to whom
//! else the settings name.

mod audit_sink;
mod journal;
mod journal_layer;
pub(crate) mod otlp;

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use self::audit_sink::{AuditSink, JournalOfDecisions};
use self::journal::Journal;
use self::journal_layer::JournalLayer;
use self::otlp::Exporter;
use crate::audit_line::AuditLine;
use crate::audit_log::{AuditLog, AuditWriter};
use crate::settings::{LogTo, Settings};

/// What goes on telling.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// Writes the rest when it is dropped.
    pub(crate) audit: AuditWriter,
    /// Is to be started once there is somebody to run it.
    pub(crate) exporter: Option<Exporter>,
}

/// Starts logging to stderr, and nothing else.
pub(crate) fn start_on_stderr(level: LevelFilter) {
    tracing_subscriber::registry()
        .with(on_stderr().with_filter(level))
        .init();
}

/// Starts logging, and telling of decisions, as the settings say.
///
/// # Errors
/// When the audit log cannot be opened, or there is no journal where the settings name it.
pub(crate) fn start(level: LevelFilter, settings: &Settings) -> anyhow::Result<Telemetry> {
    let file = settings.audit.open();
    let file = file.with_context(|| format!("audit.path: {}", settings.audit.path.display()))?;
    let journal = journal(settings.log_to)?;
    // The journal is not told twice.
    let apart = settings.audit_journal && journal.is_some();
    let not_apart = filter_fn(move |event| !(apart && event.target() == AUDIT_TARGET));
    let log = match journal {
        Some(journal) => JournalLayer(journal).boxed(),
        None => on_stderr().boxed(),
    };
    let decisions = match settings.audit_journal {
        true => Some(JournalOfDecisions::open().context("audit.journal: there is no journal")?),
        false => None,
    };
    let (collector, exporter) = settings.otlp.as_ref().map(otlp::queue).unzip();
    let sink = AuditSink {
        file,
        journal: decisions,
        collector,
    };
    let (audit_log, audit) = AuditLog::start(sink)?;
    let audit_layer = tracing_subscriber::fmt::layer()
        .event_format(AuditLine)
        .with_writer(audit_log)
        .with_filter(Targets::new().with_target(AUDIT_TARGET, LevelFilter::DEBUG));
    tracing_subscriber::registry()
        .with(log.with_filter(level.and(not_apart)))
        .with(audit_layer)
        .init();
    Ok(Telemetry { audit, exporter })
}

/// The journal, if logs go there.
fn journal(to: LogTo) -> anyhow::Result<Option<Journal>> {
    match to {
        LogTo::Stderr => Ok(None),
        LogTo::Journal => {
            let journal = Journal::open(None).context("log.to: there is no journal")?;
            Ok(Some(journal))
        }
        // Where it cannot be spoken to, it still takes stderr.
        LogTo::Auto if journal::takes_stderr() => Ok(Journal::open(None).ok()),
        LogTo::Auto => Ok(None),
    }
}

fn on_stderr() -> impl Layer<Registry> + Send + Sync {
    tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
}

/// The target of events that are decisions.
const AUDIT_TARGET: &str = "ramgate::audit";
