//! Sends decisions to a collector of OpenTelemetry's, over HTTP: `docs/monitoring.md`.
//!
//! INVARIANT(never-waited-for): decisions are put into a queue that is full at some size and then takes no more; what is dropped
//! is counted.

mod client;
mod message;
mod metrics;
mod wire;

use std::time::Duration;

use jiff::Timestamp;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::client::{Collector, Untaken};
use self::message::Told;
use self::metrics::{FULL, REFUSED, UNREACHABLE};
use self::wire::{Answer, Resource};
use crate::audit_reader::Decision;
use crate::settings::Otlp;

pub(crate) use metrics::Metrics;

/// Takes decisions.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Decision>,
    signals: Vec<&'static str>,
    metrics: Metrics,
}

/// Sends what the queue has taken.
#[derive(Debug)]
pub(crate) struct Exporter {
    receiver: mpsc::Receiver<Decision>,
    settings: Otlp,
    metrics: Metrics,
}

/// An exporter that has somewhere to send to.
struct Sending {
    collector: Collector,
    resource: Resource,
    settings: Otlp,
    metrics: Metrics,
    /// Whether the last message was not taken, so that this is told once.
    failing: bool,
}

/// A queue, and what sends from it.
pub(crate) fn queue(settings: &Otlp) -> (Queue, Exporter) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let signals: Vec<_> = [(settings.logs, LOGS), (settings.traces, TRACES)]
        .into_iter()
        .filter_map(|(wanted, signal)| wanted.then_some(signal))
        .collect();
    let metrics = Metrics::of(&signals);
    let queue = Queue {
        sender,
        signals,
        metrics: metrics.clone(),
    };
    let settings = settings.clone();
    let exporter = Exporter {
        receiver,
        settings,
        metrics,
    };
    (queue, exporter)
}

// === impl Queue ===

impl Queue {
    /// Takes `decision` if there is room for it.
    pub(crate) fn offer(&self, decision: Decision) {
        if self.sender.try_send(decision.cut(VALUE_MAX_BYTES)).is_err() {
            for signal in &self.signals {
                self.metrics.dropped(signal, FULL, 1);
            }
        }
    }
}

// === impl Exporter ===

impl Exporter {
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Begins to send, until `stopping` and all is sent.
    ///
    /// # Errors
    /// When a file cannot be read that the settings name.
    pub(crate) fn start(
        self,
        stopping: CancellationToken,
    ) -> anyhow::Result<tokio::task::JoinHandle<()>> {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let sending = Sending {
            collector: Collector::new(&self.settings)?,
            resource: message::resource(&host),
            settings: self.settings,
            metrics: self.metrics,
            failing: false,
        };
        Ok(tokio::spawn(sending.run(self.receiver, stopping)))
    }
}

// === impl Sending ===

impl Sending {
    async fn run(mut self, mut receiver: mpsc::Receiver<Decision>, stopping: CancellationToken) {
        let mut decisions = Vec::with_capacity(BATCH_MAX);
        while gather(&mut receiver, &mut decisions, &stopping).await {
            let traces = self.settings.traces;
            let told: Vec<Told> = decisions
                .drain(..)
                .map(|decision| Told::new(decision, traces))
                .collect();
            self.send(&told, &stopping).await;
        }
    }

    async fn send(&mut self, told: &[Told], stopping: &CancellationToken) {
        if self.settings.logs {
            let count = u64::try_from(told.len()).unwrap_or(u64::MAX);
            let message = message::logs(told, &self.resource, now()).encode_to_vec();
            self.send_signal(LOGS, &message, count, stopping).await;
        }
        if self.settings.traces {
            let (message, count) = message::traces(told, &self.resource);
            if count > 0 {
                let message = message.encode_to_vec();
                self.send_signal(TRACES, &message, count, stopping).await;
            }
        }
    }

    async fn send_signal(
        &mut self,
        signal: &'static str,
        message: &[u8],
        count: u64,
        stopping: &CancellationToken,
    ) {
        let path = format!("/v1/{signal}");
        let (reason, problem) = match self.collector.send(&path, message, stopping).await {
            Ok(answer) => {
                let rejected = rejected(&answer).min(count);
                self.metrics.sent(signal, count - rejected);
                self.metrics.dropped(signal, REFUSED, rejected);
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the collector takes decisions again");
                }
                return;
            }
            Err(Untaken::Unreachable(problem)) => (UNREACHABLE, problem),
            Err(Untaken::Refused(problem)) => (REFUSED, problem),
        };
        self.metrics.dropped(signal, reason, count);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                endpoint = self.settings.endpoint,
                signal,
                error = problem,
                "the collector is not told of decisions; they are in the audit log"
            );
        }
    }
}

/// How many of them the collector did not take, of those that it was sent.
fn rejected(answer: &[u8]) -> u64 {
    let answer = Answer::decode(answer).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |part| part.rejected);
    u64::try_from(rejected).unwrap_or(0)
}

/// Waits for decisions and for some more. False when all were sent and there will be none.
async fn gather(
    receiver: &mut mpsc::Receiver<Decision>,
    decisions: &mut Vec<Decision>,
    stopping: &CancellationToken,
) -> bool {
    let first = tokio::select! {
        biased;
        first = receiver.recv() => first,
        () = stopping.cancelled() => None,
    };
    let Some(first) = first else {
        return false;
    };
    decisions.push(first);
    let deadline = Instant::now() + GATHER;
    while let Some(room) = BATCH_MAX
        .checked_sub(decisions.len())
        .filter(|room| *room > 0)
    {
        tokio::select! {
            biased;
            more = receiver.recv_many(decisions, room) => if more == 0 { break },
            () = tokio::time::sleep_until(deadline) => break,
            () = stopping.cancelled() => break,
        }
    }
    true
}

/// In nanoseconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0)
}

const LOGS: &str = "logs";
const TRACES: &str = "traces";
/// Names of images are shorter; a value may be as long as a request's head.
const VALUE_MAX_BYTES: usize = 1024;
/// A decision is some kilobytes here at most: some megabytes, and what a busy mirror decides in seconds.
const QUEUE_MAX: usize = 4096;
/// OpenTelemetry's own defaults for a batch and, nearly, its delay.
const BATCH_MAX: usize = 512;
const GATHER: Duration = Duration::from_secs(1);
