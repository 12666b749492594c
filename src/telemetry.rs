//! Logs on stderr, and the audit log: one JSON object for every decision.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::audit_file::AuditFile;
use crate::audit_line::AuditLine;
use crate::audit_log::{AuditLog, AuditWriter};

/// Starts logging to stderr, and, where there is an audit log, to it. What is returned writes the rest when it is dropped.
pub(crate) fn start(
    level: LevelFilter,
    audit: Option<&AuditFile>,
) -> io::Result<Option<AuditWriter>> {
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_filter(level);
    let registry = tracing_subscriber::registry().with(stderr);
    let Some(audit) = audit else {
        registry.init();
        return Ok(None);
    };
    let (log, writer) = AuditLog::start(audit.open()?)?;
    let audit = tracing_subscriber::fmt::layer()
        .event_format(AuditLine)
        .with_writer(log)
        .with_filter(Targets::new().with_target(AUDIT_TARGET, LevelFilter::DEBUG));
    registry.with(audit).init();
    Ok(Some(writer))
}

/// The target of events that are decisions.
const AUDIT_TARGET: &str = "ramgate::audit";
