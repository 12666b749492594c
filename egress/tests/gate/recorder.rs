//! The audit events of a test's own gate.
//!
//! Every test has a runtime of one thread, so the events of a thread are those of one test.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

struct Recorder;

/// The fields of one event, and its level as `level`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<&'static str, String>);

thread_local! {
    static EVENTS: RefCell<Vec<Fields>> = const { RefCell::new(Vec::new()) };
}

/// Records from now on. Called before anything logs, since whether an event is wanted is remembered where it is made.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Recorder).unwrap());
}

/// The only event of this test since the last call.
#[track_caller]
pub(crate) fn only_event() -> Fields {
    let events = EVENTS.take();
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].clone()
}

/// The last event of this test.
#[track_caller]
pub(crate) fn last_event() -> Fields {
    let events = EVENTS.take();
    events.last().expect("there is an event").clone()
}

// === impl Recorder ===

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ramgate::audit"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        fields
            .0
            .insert("level", event.metadata().level().to_string());
        event.record(&mut fields);
        EVENTS.with_borrow_mut(|events| events.push(fields));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

// === impl Fields ===

impl Fields {
    #[track_caller]
    pub(crate) fn check(&self, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            assert_eq!(
                self.0.get(name).map(String::as_str),
                Some(*value),
                "{name} in {self:?}"
            );
        }
        assert!(self.0["elapsed_ms"].parse::<f64>().unwrap() < 60_000.0);
    }

    /// That `answer`, in its status line and in its body, ends with this event's ID.
    #[track_caller]
    pub(crate) fn leads_from(&self, answer: &str) {
        let end = format!(" (id {})", self.0["id"]);
        let line = answer.lines().next().unwrap();
        assert!(
            line.ends_with(&end) && answer.ends_with(&format!("{end}\n")),
            "{answer}"
        );
    }

    /// But for the ID, which refusals have.
    pub(crate) fn names(&self) -> Vec<&str> {
        let names = self.0.keys().copied();
        names.filter(|name| *name != "id").collect()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
