//! The load generator: some connections, each asking one thing after the other, up to a number of requests and a time.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::rounds::{Figure, Unit, quantile};

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// What is asked, and how hard.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: Address,
    pub(crate) request: Request<Full<Bytes>>,
    pub(crate) connections: usize,
    /// Most on each connection.
    pub(crate) requests: usize,
    /// No request begins later.
    pub(crate) time: Duration,
    /// How many begin in a second, whether those before them were answered or not; as many as are answered, unless given.
    pub(crate) rate: Option<u32>,
    pub(crate) expected: Expected,
}

/// What a right answer is, beside its status 200. Of a server that answers wrongly no figure is told.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// Begins like this.
    Prefix(&'static str),
    /// Is so many bytes, which are counted and dropped.
    Length(u64),
}

/// What a load has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    connections: usize,
    elapsed: Duration,
    /// Of each request, in seconds.
    latencies: Vec<f64>,
    bytes: u64,
}

/// A connection, as its user holds it.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// How a case names its number of connections.
pub(crate) fn at(connections: usize) -> String {
    match connections {
        1 => "1 connection".to_owned(),
        _ => format!("{connections} connections"),
    }
}

// === impl Load ===

impl Load {
    /// Runs the load.
    ///
    /// # Errors
    ///
    /// When an answer is not as expected, or one does not come in [`TIME_MAX`].
    pub(crate) fn run(&self) -> Result<Seen> {
        let threads = self.connections.min(THREADS_MAX);
        let barrier = Barrier::new(threads);
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|index| {
                    let connections = (self.connections + threads - 1 - index) / threads;
                    let barrier = &barrier;
                    scope.spawn(move || self.run_thread(connections, barrier))
                })
                .collect();
            let mut all = Seen::default();
            for thread in running {
                all.add(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
            }
            Ok(all)
        })
    }

    /// A runtime on this thread alone: no request waits for another thread to wake.
    fn run_thread(&self, connections: usize, barrier: &Barrier) -> Result<Seen> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let opened = runtime.block_on(self.connect(connections));
        // Also after a failure: the others wait here.
        barrier.wait();
        let opened = opened?;
        let started = Instant::now();
        let asked = async {
            let mut asking = JoinSet::new();
            let count = opened.len() as f64;
            for (index, sender) in opened.into_iter().enumerate() {
                asking.spawn(self.clone().ask(sender, index as f64 / count));
            }
            let mut all = Seen::default();
            while let Some(seen) = asking.join_next().await {
                all.add(seen??);
            }
            anyhow::Ok(all)
        };
        let mut all = runtime
            .block_on(async { tokio::time::timeout(TIME_MAX, asked).await })
            .with_context(|| format!("not all answers came within {TIME_MAX:?}"))??;
        all.elapsed = started.elapsed();
        Ok(all)
    }

    /// Opens connections, and asks once on each.
    async fn connect(&self, connections: usize) -> Result<Vec<Sender>> {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut sender = self.address.connect().await?;
            if matches!(self.expected, Expected::Prefix(_)) {
                self.ask_once(&mut sender).await?;
            }
            opened.push(sender);
        }
        Ok(opened)
    }

    /// `turn`: the part of the pause between two requests that this connection waits before the first.
    async fn ask(self, mut sender: Sender, turn: f64) -> Result<Seen> {
        let mut seen = Seen {
            connections: 1,
            ..Seen::default()
        };
        let mut started = Instant::now();
        let end = started + self.time;
        // What is due on this connection; each begins at another moment.
        let every = self.rate.map(|rate| {
            Duration::from_secs(1) * u32::try_from(self.connections).unwrap_or(1) / rate
        });
        let mut due = started + every.unwrap_or_default().mul_f64(turn);
        while seen.latencies.len() < self.requests && started < end {
            if let Some(every) = every {
                // Who is late counts from when it was due: a user would have waited.
                if Instant::now() < due {
                    tokio::time::sleep_until(due.into()).await;
                    started = Instant::now();
                } else {
                    started = due;
                }
                due += every;
            }
            seen.bytes += self.ask_once(&mut sender).await?;
            let now = Instant::now();
            seen.latencies.push((now - started).as_secs_f64());
            started = now;
        }
        Ok(seen)
    }

    /// The length of the answer, once it has been checked.
    async fn ask_once(&self, sender: &mut Sender) -> Result<u64> {
        sender.ready().await?;
        let response = sender.send_request(self.request.clone()).await?;
        ensure!(
            response.status() == StatusCode::OK,
            "{}: {}",
            self.request.uri(),
            response.status()
        );
        self.expected.check(response.into_body()).await
    }
}

// === impl Address ===

impl Address {
    /// Opens a connection, in the runtime that this is called in.
    pub(crate) async fn connect(&self) -> Result<Sender> {
        let mut builder = Builder::new();
        builder.max_buf_size(READ_MAX_BYTES);
        // Two arms: the streams are different types.
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Ok(sender)
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Ok(sender)
            }
        }
    }
}

// === impl Expected ===

impl Expected {
    async fn check(&self, mut body: Incoming) -> Result<u64> {
        match self {
            Self::Prefix(prefix) => {
                let body = body.collect().await?.to_bytes();
                if !body.starts_with(prefix.as_bytes()) {
                    bail!("not `{prefix}…`: {}", String::from_utf8_lossy(&body));
                }
                Ok(u64::try_from(body.len())?)
            }
            Self::Length(length) => {
                let mut seen = 0;
                while let Some(frame) = body.frame().await {
                    let piece = frame?.data_ref().map_or(0, Bytes::len);
                    seen += u64::try_from(piece)?;
                }
                ensure!(seen == *length, "{seen} bytes instead of {length}");
                Ok(seen)
            }
        }
    }
}

// === impl Seen ===

impl Seen {
    fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.latencies.extend(other.latencies);
        self.bytes += other.bytes;
    }

    /// How many requests were answered.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// As requests in a second.
    pub(crate) fn requests(mut self) -> Figure {
        let rate = self.latencies.len() as f64 / self.elapsed.as_secs_f64();
        let figure = Figure::new(rate, Unit::PerSecond);
        let p50 = quantile(&mut self.latencies, 0.5);
        Figure {
            // One request at a time: whoever else wants the processor makes a few of them very long, and p50 no longer.
            score: if self.connections == 1 {
                1.0 / p50
            } else {
                figure.score
            },
            p50: Some(p50),
            p99: Some(quantile(&mut self.latencies, 0.99)),
            ..figure
        }
    }

    /// What `part` of the requests took at most.
    pub(crate) fn latency(&mut self, part: f64) -> Figure {
        Figure::new(quantile(&mut self.latencies, part), Unit::Seconds)
    }

    /// As bytes in a second.
    pub(crate) fn throughput(&self) -> Figure {
        let rate = self.bytes as f64 / self.elapsed.as_secs_f64();
        Figure::new(rate, Unit::BytesPerSecond)
    }
}

/// Long enough for thousands of small requests, short enough for many rounds.
pub(crate) const TIME: Duration = Duration::from_millis(250);
/// On two cores, two threads beside a server's: what a request costs the server is time that the load lacks.
const THREADS_MAX: usize = 2;
const TIME_MAX: Duration = Duration::from_secs(60);
/// Blobs come in large pieces.
const READ_MAX_BYTES: usize = 1024 * 1024;
