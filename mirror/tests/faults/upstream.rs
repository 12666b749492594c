//! An upstream that does whatever a test wants, byte by byte: no HTTP library stands between it and the mirror.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By lower-case name; the last of each.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// What is done for a request, in order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Sends the bytes again and again, this far apart, for as long as somebody reads.
    Drip(Vec<u8>, Duration),
    HangUp,
}

type Handler = dyn Fn(&Request) -> Vec<Step> + Send + Sync;

/// The upstream.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    handler: Mutex<Arc<Handler>>,
    requests: Mutex<Vec<Request>>,
    busy: AtomicUsize,
}

/// Counts an answer for as long as it lasts.
struct Busy<'a>(&'a AtomicUsize);

// === impl Request ===

impl Request {
    pub(crate) fn is_manifest(&self) -> bool {
        self.path.contains("/manifests/")
    }
}

// === impl Upstream ===

impl Upstream {
    pub(crate) async fn new(
        handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), handler).await
    }

    pub(crate) async fn at(
        address: SocketAddr,
        handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Mutex::new(Arc::new(handler)),
            requests: Mutex::default(),
            busy: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move {
                    let _ = converse(stream, &shared).await;
                });
            }
        });
        Self {
            address,
            shared,
            server,
        }
    }

    /// From now on does something else.
    pub(crate) fn now(&self, handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) {
        *self.shared.handler.lock().unwrap() = Arc::new(handler);
    }

    /// Closes its ears.
    pub(crate) async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests().len()
    }

    /// Answers that are under way. A connection that waits for the next request is not.
    pub(crate) fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::SeqCst)
    }
}

// === impl Busy ===

impl<'a> Busy<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await? {
        shared.requests.lock().unwrap().push(request.clone());
        let _busy = Busy::new(&shared.busy);
        let handler = Arc::clone(&shared.handler.lock().unwrap());
        for step in handler(&request) {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await?,
                // A peer that leaves is noticed.
                Step::Wait(time) => {
                    let mut rest = [0; 1];
                    let left = tokio::time::timeout(time, stream.peek(&mut rest)).await;
                    if let Ok(Ok(0) | Err(_)) = left {
                        return Ok(());
                    }
                }
                Step::Drip(bytes, pause) => loop {
                    stream.write_all(&bytes).await?;
                    tokio::time::sleep(pause).await;
                },
                Step::HangUp => return Ok(()),
            }
        }
    }
    Ok(())
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body: Vec<u8> = buffer.drain(..length).collect();
    Ok(Some(Request {
        method: first.next().unwrap().to_owned(),
        path: first.next().unwrap().to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    }))
}

/// An answer with a head as written and a body of the right length, if the request wants one.
pub(crate) fn answer(
    request: &Request,
    status: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<Step> {
    let mut all = head(status, headers);
    all.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
    if request.method != "HEAD" {
        all.extend_from_slice(body);
    }
    vec![Step::Send(all)]
}

/// The beginning of an answer, up to where its last fields may follow.
pub(crate) fn head(status: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// One raw answer, then the end of the connection.
pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Send(bytes.into()), Step::HangUp]
}
