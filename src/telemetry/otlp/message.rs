//! Decisions as OpenTelemetry has them: a record of a log, and a span of a trace. Pure, but for the names of new traces.

use std::time::Duration;

use jiff::Timestamp;
use ramgate_provenance::TraceContext;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;

use super::wire::{
    AnyValue, KIND_SERVER, KeyValue, Kind, LogRecord, Logs, Resource, ResourceLogs, ResourceSpans,
    STATUS_ERROR, Scope, ScopeLogs, ScopeSpans, Span, Status, Traces,
};
use crate::audit_reader::Decision;

/// A decision, and its place in a trace.
#[derive(Debug)]
pub(super) struct Told {
    decision: Decision,
    place: Place,
}

/// Where in a trace it is.
#[derive(Clone, Debug, Default)]
struct Place {
    trace: Vec<u8>,
    span: Vec<u8>,
    /// Whoever asked, if they said so.
    parent: Vec<u8>,
    /// Whether whoever asked records the trace, or nobody asked.
    recorded: bool,
}

// === impl Told ===

impl Told {
    /// `traces`: whether it is to be a span.
    pub(super) fn new(decision: Decision, traces: bool) -> Self {
        let asked: Option<TraceContext> = decision.text("trace").parse().ok();
        let recorded = asked.is_none_or(|asked| asked.is_sampled());
        let mut place = Place {
            trace: asked.map_or_else(Vec::new, |asked| asked.trace().to_vec()),
            parent: asked.map_or_else(Vec::new, |asked| asked.parent().to_vec()),
            recorded,
            ..Place::default()
        };
        if traces && recorded {
            place.span = random::<8>();
            if asked.is_none() {
                place.trace = random::<16>();
            }
        }
        Self { decision, place }
    }

    /// Without a time it is nothing that happened.
    fn nanoseconds(&self) -> u64 {
        let time = self.decision.text("timestamp").parse::<Timestamp>();
        time.map_or(0, |time| u64::try_from(time.as_nanosecond()).unwrap_or(0))
    }

    fn elapsed(&self) -> Duration {
        let milliseconds = self.decision.number("elapsed_ms").unwrap_or(0.0);
        Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or_default()
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let own = |name: &str| matches!(name, "timestamp" | "level" | "message" | "trace");
        let values = self.decision.values().filter(|(name, _)| !own(name));
        values.map(|(name, value)| attribute(name, value)).collect()
    }

    fn record(&self, now: u64) -> LogRecord {
        let (number, text) = severity(self.decision.text("level"));
        LogRecord {
            time_unix_nano: self.nanoseconds(),
            observed_time_unix_nano: now,
            severity_number: number,
            severity_text: text.to_owned(),
            body: Some(string(self.decision.text("message"))),
            attributes: self.attributes(),
            trace_id: self.place.trace.clone(),
            span_id: self.place.span.clone(),
            flags: u32::from(!self.place.span.is_empty()),
            event_name: "ramgate.decision".to_owned(),
        }
    }

    fn span(&self) -> Option<Span> {
        if self.place.span.is_empty() {
            return None;
        }
        let end = self.nanoseconds();
        let elapsed = u64::try_from(self.elapsed().as_nanos()).unwrap_or(0);
        let action = match self.decision.text("action") {
            "" => self.decision.text("method"),
            action => action,
        };
        // A refusal is no error: it is what was to be decided.
        let failed = self.decision.text("level") == "ERROR";
        Some(Span {
            trace_id: self.place.trace.clone(),
            span_id: self.place.span.clone(),
            parent_span_id: self.place.parent.clone(),
            name: format!("{} {action}", self.decision.text("gate"))
                .trim_end()
                .to_owned(),
            kind: KIND_SERVER,
            start_time_unix_nano: end.saturating_sub(elapsed),
            end_time_unix_nano: end,
            attributes: self.attributes(),
            status: failed.then_some(Status { code: STATUS_ERROR }),
            flags: u32::from(self.place.recorded),
        })
    }
}

/// The logs' message. `now` is in nanoseconds since 1970.
pub(super) fn logs(decisions: &[Told], resource: &Resource, now: u64) -> Logs {
    Logs {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource.clone()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: decisions.iter().map(|told| told.record(now)).collect(),
            }],
        }],
    }
}

/// The traces' message, and how many spans are in it.
pub(super) fn traces(decisions: &[Told], resource: &Resource) -> (Traces, u64) {
    let spans: Vec<Span> = decisions.iter().filter_map(Told::span).collect();
    let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
    let request = Traces {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
            }],
        }],
    };
    (request, count)
}

/// Who tells.
pub(super) fn resource(host: &str) -> Resource {
    let attribute = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(string(value)),
    };
    Resource {
        attributes: vec![
            attribute("service.name", "ramgate"),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
            attribute("host.name", host),
        ],
    }
}

fn scope() -> Scope {
    Scope {
        name: "ramgate".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn attribute(name: &str, value: &Value) -> KeyValue {
    let name = if name == "id" { "decision_id" } else { name };
    let kind = match value {
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Kind::Integer(number),
            (None, Some(number)) => Kind::Double(number),
            (None, None) => Kind::Text(number.to_string()),
        },
        Value::String(text) => Kind::Text(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => Kind::Text(value.to_string()),
    };
    KeyValue {
        key: format!("ramgate.{name}"),
        value: Some(AnyValue { value: Some(kind) }),
    }
}

fn string(text: &str) -> AnyValue {
    AnyValue {
        value: Some(Kind::Text(text.to_owned())),
    }
}

/// `SeverityNumber`, and the name beside it.
fn severity(level: &str) -> (i32, &str) {
    let number = match level {
        "ERROR" => 17,
        "WARN" => 13,
        "INFO" => 9,
        "DEBUG" => 5,
        _ => 0,
    };
    (number, level)
}

/// A name that nobody else has. Without randomness there is none, and so no span.
fn random<const N: usize>() -> Vec<u8> {
    let mut bytes = [0; N];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => bytes.to_vec(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1 as common;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Theirs;
    use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
    use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
    use prost::Message as _;

    use super::*;

    fn told(line: &str) -> Told {
        Told::new(Decision::parse(line.as_bytes()).unwrap(), true)
    }

    fn text(text: &str) -> Theirs {
        Theirs::StringValue(text.to_owned())
    }

    #[track_caller]
    fn has(attributes: &[common::KeyValue], key: &str, kind: &Theirs) {
        let found = attributes.iter().find(|attribute| attribute.key == key);
        let found = found.and_then(|found| found.value.as_ref()?.value.as_ref());
        assert_eq!(found, Some(kind), "{key}");
    }

    const LINE: &str = r#"{"timestamp":"2026-11-25T22:00:01.000000Z","level":"ERROR","gate":"mirror","decision":"deny",
        "id":"00c0ffee","action":"pull","port":443,"stopped":true,"elapsed_ms":0.25,"message":"could not evaluate",
        "trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;

    #[test]
    fn a_collector_reads_a_record_and_a_span_of_the_trace_that_asked() {
        let (told, resource) = ([told(LINE)], resource("host-1"));
        let bytes = logs(&told, &resource, 7).encode_to_vec();
        let read = ExportLogsServiceRequest::decode(&*bytes).unwrap();
        // Nothing that they do not know, and nothing otherwise than they write it.
        assert_eq!(read.encode_to_vec().len(), bytes.len());
        let [logs] = &read.resource_logs[..] else {
            panic!("{read:?}");
        };
        let attributes = &logs.resource.as_ref().unwrap().attributes;
        has(attributes, "service.name", &text("ramgate"));
        has(attributes, "host.name", &text("host-1"));
        let scope = &logs.scope_logs[0];
        assert_eq!(scope.scope.as_ref().unwrap().name, "ramgate");
        let record = &scope.log_records[0];
        assert_eq!(record.time_unix_nano, 1_795_644_001_000_000_000);
        assert_eq!(record.observed_time_unix_nano, 7);
        assert_eq!(record.severity_number(), SeverityNumber::Error);
        assert_eq!(record.severity_text, "ERROR");
        assert_eq!(record.event_name, "ramgate.decision");
        let body = record.body.as_ref().unwrap().value.as_ref();
        assert_eq!(body, Some(&text("could not evaluate")));
        assert_eq!(record.attributes.len(), 7);
        has(&record.attributes, "ramgate.decision_id", &text("00c0ffee"));
        has(&record.attributes, "ramgate.port", &Theirs::IntValue(443));
        has(
            &record.attributes,
            "ramgate.stopped",
            &Theirs::BoolValue(true),
        );
        has(
            &record.attributes,
            "ramgate.elapsed_ms",
            &Theirs::DoubleValue(0.25),
        );

        let (message, count) = traces(&told, &resource);
        let bytes = message.encode_to_vec();
        let read = ExportTraceServiceRequest::decode(&*bytes).unwrap();
        assert_eq!((read.encode_to_vec().len(), count), (bytes.len(), 1));
        let span = &read.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!(span.name, "mirror pull");
        assert_eq!(span.kind(), SpanKind::Server);
        assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error);
        assert_eq!(span.trace_id[..2], [0x4b, 0xf9]);
        assert_eq!(span.parent_span_id[6..], [0x02, 0xb7]);
        assert_eq!(span.end_time_unix_nano, record.time_unix_nano);
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 250_000);
        assert_eq!(span.attributes, record.attributes);
        assert_eq!(
            (&record.trace_id, &record.span_id),
            (&span.trace_id, &span.span_id)
        );
        assert_eq!((span.flags, record.flags), (1, 1));
    }

    #[test]
    fn a_trace_that_is_not_recorded_gets_no_span_and_its_record_still_names_it() {
        let told = told(r#"{"trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}"#);
        assert_eq!(told.span(), None);
        assert_eq!(told.record(0).trace_id.len(), 16);
    }

    #[test]
    fn what_belongs_to_no_trace_begins_one() {
        let (one, other) = (told("{}").span().unwrap(), told("{}").span().unwrap());
        assert_eq!((one.trace_id.len(), one.span_id.len()), (16, 8));
        assert!(one.parent_span_id.is_empty());
        assert_ne!(one.trace_id, other.trace_id);
        let decision = Decision::parse(b"{}").unwrap();
        assert!(Told::new(decision, false).record(0).trace_id.is_empty());
    }
}
