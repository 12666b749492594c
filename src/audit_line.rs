//! A line of the audit log: an event as one JSON object, as `tracing_subscriber`'s own JSON format has it with its fields laid
//! flat. That one goes through a map of fields and checks each piece of text anew; a judged request waits for it.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events as lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuditLine;

/// Adds fields to an object that is open and not empty.
struct Fields<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

// === impl AuditLine ===

impl<S, N> FormatEvent<S, N> for AuditLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, r#"","level":"{}""#, event.metadata().level())?;
        let mut fields = Fields {
            writer,
            result: Ok(()),
        };
        event.record(&mut fields);
        fields.result?;
        fields.writer.write_str("}\n")
    }
}

// === impl Fields ===

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            let name = field.name();
            // The names are our own: nothing in them needs an escape.
            self.result =
                write!(self.writer, r#","{name}":"#).and_then(|()| value(&mut self.writer));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, |writer| text(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, |writer| text(writer, &format!("{value:?}")));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for the others.
        self.add(field, |writer| match value.is_finite() {
            // `3.0`, not `3`.
            true => write!(writer, "{value:?}"),
            false => writer.write_str("null"),
        });
    }
}

/// A JSON string. Most texts are repositories and rules, in which nothing needs an escape.
fn text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        writer.write_char('"')?;
        writer.write_str(text)?;
        writer.write_char('"')
    } else {
        writer.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        /// What was written, line by line, without the time.
        fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let parse = |line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
                assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
                line
            };
            text.lines().map(parse).collect()
        }
    }

    #[test]
    fn a_line_says_what_the_json_format_of_tracing_subscriber_says() {
        let (ours, theirs) = (Kept::default(), Kept::default());
        let (to_ours, to_theirs) = (ours.clone(), theirs.clone());
        let ours_layer = tracing_subscriber::fmt::layer()
            .event_format(AuditLine)
            .with_writer(move || to_ours.clone());
        let theirs_layer = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_writer(move || to_theirs.clone());
        let subscriber = tracing_subscriber::registry()
            .with(ours_layer)
            .with(theirs_layer);
        tracing::subscriber::with_default(subscriber, || {
            let (absent, given) = (None::<String>, Some("1.51".to_owned()));
            tracing::info!(
                gate = "plugin",
                absent,
                given,
                elapsed_ms = 0.25,
                "request allowed"
            );
            tracing::warn!(
                elapsed_ms = 3.0,
                tiny = 1e-9,
                huge = 1e300,
                none = f64::NAN,
                "numbers"
            );
            tracing::error!(yes = true, less = -1_i64, more = u64::MAX, reason = %"a\tb", "kinds");
            let evil = "\"}\n{\"decision\":\"allow\"} \\ \u{1b}[31m \u{0} ß\u{202e}\u{10ffff}";
            tracing::debug!(repository = evil, route = ?evil, "texts");
            tracing::debug!("{evil}");
        });
        assert_eq!(ours.lines().len(), 5);
        assert_eq!(ours.lines(), theirs.lines());
    }
}
