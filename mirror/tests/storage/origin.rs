//! An upstream that sends as the test wants it: slowly, breaking off, wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode};
use sha2::{Digest as _, Sha256};

/// An upstream.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    blobs: Mutex<BTreeMap<String, Bytes>>,
    /// Which repository has which blob.
    has: Mutex<BTreeSet<(String, String)>>,
    manner: Mutex<Manner>,
    sent: AtomicU64,
    requests: Mutex<Vec<String>>,
}

/// How it sends blobs.
#[derive(Clone, Default)]
pub(crate) struct Manner {
    /// After how many bytes each answer breaks off, one after the other; what comes after those does not.
    pub(crate) break_after: Vec<u64>,
    /// Whether it breaks off every time.
    pub(crate) always_breaks: bool,
    /// Whether it knows ranges.
    pub(crate) ranges: bool,
    /// Between pieces of 64 KiB.
    pub(crate) pause: Duration,
    /// Whether the last byte is another.
    pub(crate) corrupt: bool,
}

// === impl Origin ===

impl Origin {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::default(),
        };
        let shared = Arc::clone(&origin.shared);
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&shared);
            async move { shared.answer(&request) }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        origin
    }

    /// Puts a blob into a repository; its digest.
    pub(crate) fn put(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        self.put_as(repository, &digest, bytes);
        digest
    }

    /// Puts something in the place of a blob.
    pub(crate) fn put_as(&self, repository: &str, digest: &str, bytes: &[u8]) {
        let mut blobs = self.shared.blobs.lock().unwrap();
        blobs.insert(digest.to_owned(), Bytes::copy_from_slice(bytes));
        let mut has = self.shared.has.lock().unwrap();
        has.insert((repository.to_owned(), digest.to_owned()));
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// The requests so far, as in `GET library/app`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The bytes of blobs that were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

// === impl Shared ===

impl Shared {
    fn answer(self: &Arc<Self>, request: &Request) -> Response<Body> {
        let path = request.uri().path().trim_start_matches("/v2/");
        let Some((repository, digest)) = path.split_once("/blobs/") else {
            return status(StatusCode::NOT_FOUND);
        };
        let range = request.headers().get("range");
        let mark = if range.is_some() { " rest" } else { "" };
        let note = format!("{} {repository}{mark}", request.method());
        self.requests.lock().unwrap().push(note);
        let has = (repository.to_owned(), digest.to_owned());
        if !self.has.lock().unwrap().contains(&has) {
            return status(StatusCode::NOT_FOUND);
        }
        let blob = self.blobs.lock().unwrap()[digest].clone();
        let mut manner = self.manner.lock().unwrap();
        let breaks = if manner.always_breaks {
            Some(100_000)
        } else if manner.break_after.is_empty() || *request.method() == Method::HEAD {
            None
        } else {
            Some(manner.break_after.remove(0))
        };
        let manner = manner.clone();
        let from = range
            .filter(|_| manner.ranges)
            .and_then(|range| {
                range
                    .to_str()
                    .ok()?
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse::<u64>()
                    .ok()
            })
            .unwrap_or(0);
        let size = blob.len() as u64;
        let mut response = Response::builder().header("content-length", size - from);
        if from > 0 {
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header("content-range", format!("bytes {from}-{}/{size}", size - 1));
        }
        if *request.method() == Method::HEAD {
            return response.body(Body::empty()).unwrap();
        }
        let state = (
            Arc::clone(self),
            blob,
            from,
            breaks.map(|after| from + after),
            manner,
        );
        let stream = futures_util::stream::try_unfold(state, send);
        response.body(Body::from_stream(stream)).unwrap()
    }
}

type Sending = (Arc<Shared>, Bytes, u64, Option<u64>, Manner);

async fn send((shared, blob, at, end, manner): Sending) -> io::Result<Option<(Bytes, Sending)>> {
    let size = blob.len() as u64;
    if at == size {
        return Ok(None);
    }
    if end.is_some_and(|end| at >= end) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    tokio::time::sleep(manner.pause).await;
    let until = (at + 64 * 1024).min(size).min(end.unwrap_or(size));
    let mut piece = blob.slice(usize::try_from(at).unwrap()..usize::try_from(until).unwrap());
    if manner.corrupt && until == size {
        let mut bytes = piece.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        piece = bytes.into();
    }
    shared.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
    Ok(Some((piece, (shared, blob, until, end, manner))))
}

fn status(status: StatusCode) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    let digits = digits.iter().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", digits.collect::<String>())
}

/// Bytes that repeat nowhere, the same ones for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}
