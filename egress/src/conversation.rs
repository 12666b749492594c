//! One client's connection, in whichever version of HTTP it speaks.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use http::{Request, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::activity::Activity;
use crate::answer::Answer;
use crate::gate::Egress;
use crate::tasks::Tasks;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// A request line.
    One,
    /// The preface of HTTP/2, with prior knowledge (RFC 9113, section 3.3).
    Two,
}

/// What the head of a request may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) head_max_bytes: usize,
    pub(crate) head_timeout: Duration,
}

/// From the first request to the last or to the upgrade.
pub(crate) async fn converse(
    stream: TcpStream,
    egress: Egress,
    tasks: Tasks,
    shutdown: CancellationToken,
) {
    // Only latency is lost where the socket refuses.
    let _ = stream.set_nodelay(true);
    let version = tokio::select! {
        version = sniff(&stream, egress.config().header_read_timeout) => version,
        () = shutdown.cancelled() => None,
    };
    match version {
        Some(Version::One) => converse_http1(stream, egress, tasks, shutdown).await,
        Some(Version::Two) => converse_http2(stream, egress, tasks, shutdown).await,
        None => {}
    }
}

async fn converse_http1(
    stream: TcpStream,
    egress: Egress,
    tasks: Tasks,
    shutdown: CancellationToken,
) {
    let config = egress.config();
    let limits = Limits {
        head_max_bytes: config.header_size_max_bytes,
        head_timeout: config.header_read_timeout,
    };
    let answer = |request| {
        let (egress, tasks) = (egress.clone(), tasks.clone());
        async move { egress.answer(request, &tasks).await }
    };
    if let Err(error) = serve_http1(stream, limits, shutdown, answer).await {
        debug!(%error, error_source = "downstream", "connection broken off");
    }
}

/// HTTP/1.1 on `stream`: `answer` answers each request, until the client has no more or `shutdown` is cancelled.
pub(crate) async fn serve_http1<F: Future<Output = Answer>>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    limits: Limits,
    shutdown: CancellationToken,
    answer: impl Fn(Request<Incoming>) -> F,
) -> hyper::Result<()> {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_max_bytes.max(BUFFER_LEAST_BYTES))
        // Who has no more to ask still waits for the answer.
        .half_close(true);
    let service = service_fn(|request| {
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let mut connection = pin!(
        server
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

async fn converse_http2(
    stream: TcpStream,
    egress: Egress,
    tasks: Tasks,
    shutdown: CancellationToken,
) {
    let config = egress.config();
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(config.header_size_max_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(config.header_read_timeout)
        .keep_alive_timeout(config.header_read_timeout);
    let requests = Activity::new();
    let service = service_fn(|request| {
        let (egress, tasks) = (egress.clone(), tasks.clone());
        requests.note();
        async move {
            let mut answer = egress.answer(request, &tasks).await;
            // HTTP/2 knows no header of the connection (RFC 9113, section 8.2.2).
            answer.headers_mut().remove(header::CONNECTION);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // Without a new request for so long, it takes none any more. Tunnels go on until they end, each by its own limit.
        () = requests.idle(config.idle_timeout) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, error_source = "downstream", "connection broken off");
    }
}

/// Which version `stream` begins with; nothing is taken from it. `None` when it has not begun within `limit`, or ended.
async fn sniff(stream: &TcpStream, limit: Duration) -> Option<Version> {
    let read = async {
        loop {
            let mut bytes = [0; PREFACE.len()];
            let length = stream.peek(&mut bytes).await.ok()?;
            match bytes.get(..length)? {
                [] => return None,
                begun if begun == PREFACE => return Some(Version::Two),
                // The kernel says at once that these bytes are there, so the next ones are asked for after a while.
                begun if PREFACE.starts_with(begun) => sleep(SNIFF_PAUSE).await,
                _ => return Some(Version::One),
            }
        }
    };
    timeout(limit, read).await.ok().flatten()
}

/// As much of RFC 9113, section 3.4, as no request of HTTP/1.1 begins with: `PRI` is reserved for it.
const PREFACE: &[u8] = b"PRI * HTTP/2";
/// The preface comes in one segment, except from someone who sends it byte by byte.
const SNIFF_PAUSE: Duration = Duration::from_millis(20);
/// Tunnels of one connection; a client that wants more opens another.
const STREAMS_MAX: u32 = 256;
/// hyper panics below it: `max_buf_size` of its server's builder.
const BUFFER_LEAST_BYTES: usize = 8192;
