//! A registry of one repository, and the few words of HTTP that it and its clients need.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

/// A registry.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// By the end of their path.
    content: Mutex<HashMap<String, Arc<Vec<u8>>>>,
    /// Between pieces of 64 KiB, in microseconds.
    pause: AtomicU64,
    gets: AtomicU64,
}

/// An answer, if it came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

// === impl Origin ===

impl Origin {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let origin = Self {
            address: listener.local_addr()?,
            shared: Arc::default(),
        };
        let shared = Arc::clone(&origin.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes away in the middle is its own affair.
                std::thread::spawn(move || shared.answer(stream));
            }
        });
        Ok(origin)
    }

    /// Puts a blob here; its path.
    pub(crate) fn put_blob(&self, bytes: Vec<u8>) -> String {
        let path = format!("blobs/{}", digest(&bytes));
        self.put(&path, bytes);
        path
    }

    /// Puts a manifest here, under a tag.
    pub(crate) fn put_manifest(&self, tag: &str, bytes: &[u8]) {
        self.put(&format!("manifests/{tag}"), bytes.to_vec());
        self.put(&format!("manifests/{}", digest(bytes)), bytes.to_vec());
    }

    pub(crate) fn slow_down(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_micros()).unwrap_or_default();
        self.shared.pause.store(pause, Ordering::SeqCst);
    }

    /// How often something was fetched.
    pub(crate) fn gets(&self) -> u64 {
        self.shared.gets.load(Ordering::SeqCst)
    }

    fn put(&self, path: &str, bytes: Vec<u8>) {
        self.shared
            .content
            .lock()
            .unwrap()
            .insert(path.to_owned(), Arc::new(bytes));
    }
}

// === impl Shared ===

impl Shared {
    fn answer(&self, stream: TcpStream) -> Result<()> {
        let (line, headers) = head(&stream)?;
        let mut words = line.split(' ');
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let name = path.trim_start_matches(&format!("/v2/{REPOSITORY}/"));
        let content = self.content.lock().unwrap().get(name).cloned();
        let mut stream = stream;
        let Some(content) = content else {
            return Ok(stream.write_all(
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            )?);
        };
        let from = headers.get("range").and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        });
        let mut answer = match from {
            Some(from) => format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{}/{}\r\n",
                content.len() - 1,
                content.len()
            ),
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
        };
        let rest = &content[from.unwrap_or(0)..];
        write!(
            answer,
            "content-type: {MANIFEST}\r\ndocker-content-digest: {}\r\n",
            digest(&content)
        )?;
        write!(
            answer,
            "content-length: {}\r\nconnection: close\r\n\r\n",
            rest.len()
        )?;
        stream.write_all(answer.as_bytes())?;
        if method == "HEAD" {
            return Ok(());
        }
        self.gets.fetch_add(1, Ordering::SeqCst);
        for piece in rest.chunks(64 * 1024) {
            std::thread::sleep(Duration::from_micros(self.pause.load(Ordering::SeqCst)));
            stream.write_all(piece)?;
        }
        Ok(())
    }
}

/// Asks `address` for something of the repository.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    send(
        address,
        "GET",
        &format!("/v2/registry.test/{REPOSITORY}/{path}"),
    )
}

pub(crate) fn send(address: SocketAddr, method: &str, target: &str) -> Result<Answer> {
    exchange(address, method, target, "", b"")
}

/// Asks for a part of something of the repository, as in `bytes=0-9`.
pub(crate) fn get_part(address: SocketAddr, path: &str, range: &str) -> Result<Answer> {
    let target = format!("/v2/registry.test/{REPOSITORY}/{path}");
    exchange(address, "GET", &target, &format!("range: {range}\r\n"), b"")
}

/// Sends a request with these header lines and this body.
pub(crate) fn exchange(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let (line, headers) = read_head(&mut reader)?;
    let status = line.split(' ').nth(1).unwrap_or_default().parse()?;
    let length: usize = headers
        .get("content-length")
        .context("no length")?
        .parse()?;
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    ensure!(
        body.len() == length || method == "HEAD",
        "broken off after {} of {length}",
        body.len()
    );
    Ok(Answer { status, body })
}

fn head(stream: &TcpStream) -> Result<(String, HashMap<String, String>)> {
    read_head(&mut BufReader::new(stream))
}

fn read_head(reader: &mut impl BufRead) -> Result<(String, HashMap<String, String>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "the connection ended");
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut lines = lines.into_iter();
    let first = lines.next().context("no first line")?;
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Ok((first, headers.collect()))
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut digest = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

/// Bytes that repeat nowhere, the same ones for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

pub(crate) const REPOSITORY: &str = "library/app";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
