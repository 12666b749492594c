//! Decisions at a collector of OpenTelemetry's, read there with its own messages.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Kind;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::served::{Served, ask_with};

const POLICY: &str = r#"{ "version": 1, "registries": [ { "host": "docker.io" } ], "docker-hub": { "official": "allow" } }"#;
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const DENIED: &str = "/v2/evil/tool/manifests/1";

/// How a collector behaves.
#[derive(Clone, Copy)]
enum Manner {
    Takes,
    /// It answers 503, so many times, and then takes.
    Busy(usize),
    /// It takes connections and answers nothing.
    Hangs,
}

/// Takes messages until the test ends.
#[derive(Clone, Default)]
struct Collector {
    messages: Arc<Mutex<Vec<Received>>>,
}

#[derive(Clone)]
struct Received {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

// === impl Collector ===

impl Collector {
    fn start(manner: Manner) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self::default();
        let serving = collector.clone();
        std::thread::spawn(move || {
            let busy = Arc::new(Mutex::new(match manner {
                Manner::Busy(times) => times,
                Manner::Takes | Manner::Hangs => 0,
            }));
            for stream in listener.incoming().flatten() {
                let (serving, busy) = (serving.clone(), Arc::clone(&busy));
                std::thread::spawn(move || serving.serve(&stream, manner, &busy));
            }
        });
        (collector, address)
    }

    fn serve(&self, stream: &TcpStream, manner: Manner, busy: &Mutex<usize>) {
        let mut reader = BufReader::new(stream);
        while let Some(received) = read(&mut reader) {
            if matches!(manner, Manner::Hangs) {
                std::thread::sleep(PATIENCE);
                return;
            }
            let mut busy = busy.lock().unwrap();
            let status = if *busy > 0 {
                *busy -= 1;
                "503 Service Unavailable\r\nretry-after: 0"
            } else {
                self.messages.lock().unwrap().push(received);
                "200 OK\r\ncontent-type: application/x-protobuf"
            };
            drop(busy);
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            if (&*stream).write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn of(&self, path: &str) -> Vec<Received> {
        let messages = self.messages.lock().unwrap();
        messages
            .iter()
            .filter(|message| message.path == path)
            .cloned()
            .collect()
    }

    fn records(&self) -> Vec<LogRecord> {
        let messages = self.of("/otlp/v1/logs");
        let messages = messages
            .iter()
            .map(|message| ExportLogsServiceRequest::decode(&*message.body).unwrap());
        let scopes = messages
            .flat_map(|message| message.resource_logs)
            .flat_map(|logs| logs.scope_logs);
        scopes.flat_map(|scope| scope.log_records).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let messages = self.of("/otlp/v1/traces");
        let messages = messages
            .iter()
            .map(|message| ExportTraceServiceRequest::decode(&*message.body).unwrap());
        let scopes = messages
            .flat_map(|message| message.resource_spans)
            .flat_map(|spans| spans.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// One request; `None` at the end.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|length| *length > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Received {
        path,
        headers,
        body,
    })
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.as_ref()?.value.as_ref()) {
        Some(Kind::StringValue(text)) => text,
        other => panic!("{key}: {other:?} in {attributes:?}"),
    }
}

/// As soon as there is something to give back.
#[track_caller]
fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// With a collector at `address`, and a token for it.
fn serve(address: SocketAddr) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(
        &headers,
        "# of the collector\nAuthorization: Bearer token\n",
    )
    .unwrap();
    let otlp = json!({ "endpoint": format!("http://{address}/otlp"), "headers-file": headers });
    let served = Served::start(POLICY, &json!({ "otlp": otlp }), |_| {});
    // It is read again with each message.
    served.keep(folder);
    served
}

/// The sample that begins with `name`.
fn sample(served: &Served, name: &str) -> Option<u64> {
    let metrics = served.metrics();
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn a_denied_pull_is_at_the_collector_with_the_id_that_the_user_reads() {
    let (collector, address) = Collector::start(Manner::Takes);
    let served = serve(address);
    let answer = ask_with(
        served.mirror,
        "GET",
        DENIED,
        "mirror",
        &[("traceparent", TRACE)],
    );
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let id = crate::audit::id(&answer);

    let is_it = |attributes: &[KeyValue]| {
        attributes
            .iter()
            .any(|attribute| attribute.key == "ramgate.decision_id")
            && text(attributes, "ramgate.decision_id") == id
    };
    let record = eventually("no record of the decision comes", || {
        collector
            .records()
            .into_iter()
            .find(|record| is_it(&record.attributes))
    });
    let span = eventually("no span of the decision comes", || {
        collector
            .spans()
            .into_iter()
            .find(|span| is_it(&span.attributes))
    });
    for attributes in [&record.attributes, &span.attributes] {
        for (key, value) in [
            ("ramgate.gate", "mirror"),
            ("ramgate.decision", "deny"),
            ("ramgate.registry", "docker.io"),
            ("ramgate.repository", "evil/tool"),
            ("ramgate.reason", "category-not-allowed"),
            ("ramgate.rule", "docker-hub.community"),
        ] {
            assert_eq!(text(attributes, key), value, "{key}");
        }
    }
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert!(TRACE.contains(&hex(&span.trace_id)) && TRACE.contains(&hex(&span.parent_span_id)));
    assert_eq!(
        (record.trace_id, record.span_id),
        (span.trace_id, span.span_id)
    );
    assert!(span.start_time_unix_nano < span.end_time_unix_nano);
    for message in [
        collector.of("/otlp/v1/logs"),
        collector.of("/otlp/v1/traces"),
    ] {
        assert_eq!(message[0].headers["authorization"], "Bearer token");
        assert_eq!(message[0].headers["content-type"], "application/x-protobuf");
    }
    // And the audit log has the same line, with the trace in it.
    served.audited(|log| {
        log.lines()
            .any(|line| line.contains(&id) && line.contains(TRACE))
    });
    let sent = || sample(&served, r#"ramgate_otlp_sent_total{signal="logs"}"#);
    eventually("it is not counted", || sent().filter(|sent| *sent >= 1));
}

#[test]
fn what_a_busy_collector_did_not_take_is_sent_again_and_once() {
    let (collector, address) = Collector::start(Manner::Busy(2));
    let served = serve(address);
    let id = crate::audit::id(&served.pull(DENIED));
    let ids = || {
        let records = collector.records();
        records
            .iter()
            .filter(|record| text(&record.attributes, "ramgate.decision_id") == id)
            .count()
    };
    eventually("it is not sent again", || (ids() > 0).then_some(()));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(ids(), 1);
    assert_eq!(
        sample(
            &served,
            r#"ramgate_otlp_dropped_total{signal="logs",reason="unreachable"}"#
        ),
        Some(0)
    );
}

/// With nobody there, and with somebody who hangs: more decisions than are kept, each answered in its time, and what is lost told.
#[test]
fn decisions_are_answered_while_the_collector_is_away_or_hangs_and_what_is_lost_is_counted() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (_collector, hangs) = Collector::start(Manner::Hangs);
    for address in [nobody, hangs] {
        let served = serve(address);
        let began = Instant::now();
        let mut slowest = Duration::ZERO;
        std::thread::scope(|scope| {
            let ask_many = || {
                let mut slowest = Duration::ZERO;
                for _ in 0..1_500 {
                    let asked = Instant::now();
                    let answer = served.pull(DENIED);
                    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
                    slowest = slowest.max(asked.elapsed());
                }
                slowest
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask_many)).collect();
            for thread in threads {
                slowest = slowest.max(thread.join().unwrap());
            }
        });
        // Four tries' pauses are 15 s, a time-out is 10 s: one that waited for the collector would show.
        assert!(
            slowest < Duration::from_secs(5),
            "{slowest:?} of {:?}",
            began.elapsed()
        );
        for signal in ["logs", "traces"] {
            let full = format!(r#"ramgate_otlp_dropped_total{{signal="{signal}",reason="full"}}"#);
            eventually("nothing is said to be lost", || {
                sample(&served, &full).filter(|lost| *lost > 0)
            });
        }
        // None of them is lost to the audit log.
        served.audited(|log| {
            log.lines()
                .filter(|line| line.contains("evil/tool"))
                .count()
                == 6_000
        });
    }
}

/// Longer than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(30);
