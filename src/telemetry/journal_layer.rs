//! Logs to the journal: each event an entry. What it does not take goes to stderr.

use std::fmt;
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::journal::{Entry, Journal};

/// Takes events to the journal.
#[derive(Debug)]
pub(crate) struct JournalLayer(pub(super) Journal);

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

// === impl JournalLayer ===

impl<S: Subscriber> Layer<S> for JournalLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let mut entry = Entry::new(level, &fields.message);
        for (name, value) in &fields.others {
            entry.add(name, value);
        }
        if self.0.send(&entry).is_err() {
            // Nobody is left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "{level:>5} {}", entry.message());
        }
    }
}

// === impl Visit ===

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}"));
    }
}

// === impl Fields ===

impl Fields {
    fn keep(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::journal::tests::{received, stand_in};
    use super::*;

    #[test]
    fn an_event_is_an_entry_with_its_fields() {
        let (journal, socket, _directory) = stand_in(None);
        let subscriber = tracing_subscriber::registry().with(JournalLayer(journal));
        tracing::subscriber::with_default(subscriber, || {
            let absent = None::<&str>;
            tracing::info!(id = %"00c0ffee", absent, elapsed_ms = 0.5, error_source = "upstream", "pull denied");
        });
        let fields = received(&socket);
        let said = "pull denied id=00c0ffee elapsed_ms=0.5 error_source=upstream";
        assert_eq!(fields["MESSAGE"], said);
        assert_eq!(fields["RAMGATE_DECISION_ID"], "00c0ffee");
        assert_eq!(fields["RAMGATE_ERROR_SOURCE"], "upstream");
        assert_eq!(fields["PRIORITY"], "6");
    }
}
