//! Requests as bytes, and what comes back.

use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::attempt::{Framing, Request, Tunnel};
use crate::vocabulary::Vocabulary;

/// A connection whose reads can be given a time.
pub(crate) trait Connection: Read + Write {
    fn set_patience(&self, patience: Duration) -> io::Result<()>;
}

impl Connection for std::os::unix::net::UnixStream {
    fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))
    }
}

impl Connection for std::net::TcpStream {
    fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))
    }
}

/// Sends requests over one connection and returns all that comes back until the other side closes or falls silent.
pub(crate) fn exchange(
    mut connection: impl Connection,
    requests: &[Request],
    patience: Duration,
    vocabulary: &Vocabulary,
) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        if request.wait {
            read_until(&mut connection, BETWEEN, &mut answer)?;
        }
        let bytes = bytes(request, index + 1 == requests.len(), vocabulary)?;
        // A server that has already refused and closed is an answer, too.
        if connection.write_all(&bytes).is_err() {
            break;
        }
    }
    read_until(&mut connection, patience, &mut answer)?;
    Ok(answer)
}

/// Says what is to be said in a tunnel, which `connection` first asks a proxy for if there is one, and returns all that comes back.
pub(crate) fn converse(
    mut connection: impl Connection,
    tunnel: &Tunnel,
    by_proxy: bool,
    patience: Duration,
    vocabulary: &Vocabulary,
) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut said = unescape(&vocabulary.fill(&tunnel.say)?)?;
    if by_proxy {
        let to = &tunnel.to;
        let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").into_bytes();
        if tunnel.early {
            said = [head, said].concat();
        } else {
            connection.write_all(&head)?;
            read_until(&mut connection, BETWEEN, &mut answer)?;
        }
    }
    let pieces = said.chunks(tunnel.split.unwrap_or(said.len()));
    for piece in pieces {
        // As above.
        if connection.write_all(piece).is_err() {
            break;
        }
        if tunnel.split.is_some() {
            std::thread::sleep(SEGMENT);
        }
    }
    read_until(&mut connection, patience, &mut answer)?;
    Ok(answer)
}

/// Asks the engine for something, as the test's own client. `None` if there is no such thing.
pub(crate) fn ask(
    mut connection: impl Connection,
    method: &str,
    path: &str,
) -> Result<Option<Value>> {
    connection.set_patience(Duration::from_secs(30))?;
    // The older protocol: the answer ends with the connection, in one piece.
    write!(connection, "{method} {path} HTTP/1.0\r\nHost: lab\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .context("the engine gave no answer")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" | "201" => Ok(Some(serde_json::from_str(body).unwrap_or(Value::Null))),
        "204" | "404" | "406" | "503" => Ok(None),
        _ => bail!("{method} {path}: {text}"),
    }
}

/// The bytes of a request.
fn bytes(request: &Request, last: bool, vocabulary: &Vocabulary) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for line in &request.head {
        lines.push(unescape(&vocabulary.fill(line)?)?);
    }
    let body = unescape(&vocabulary.fill(request.body.as_deref().unwrap_or_default())?)?;
    let mut add = |line: String| lines.push(line.into_bytes());
    let has = |field: &str| {
        request.head.iter().any(|line| {
            line.split_once(':')
                .is_some_and(|(name, _)| name.eq_ignore_ascii_case(field))
        })
    };
    if request.framing != Framing::Raw {
        if !has("Host") {
            add("Host: lab".to_owned());
        }
        if last && !has("Connection") {
            add("Connection: close".to_owned());
        }
    }
    let body = match request.framing {
        Framing::Raw => body,
        Framing::Length => {
            if request.body.is_some() {
                add(format!("Content-Length: {}", body.len()));
            }
            body
        }
        Framing::Chunked | Framing::SmallChunks => {
            add("Transfer-Encoding: chunked".to_owned());
            let size = if request.framing == Framing::Chunked {
                body.len().max(1)
            } else {
                7
            };
            chunks(&body, size)
        }
    };
    let mut bytes = lines.join(&b"\r\n"[..]);
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Turns `\xff` into the byte; all else stays.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece
            .split_at_checked(2)
            .context("`\\x` wants two digits")?;
        bytes.push(u8::from_str_radix(digits, 16)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

fn read_until(
    connection: &mut impl Connection,
    silence: Duration,
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    connection.set_patience(silence)?;
    let mut buffer = [0; 64 << 10];
    loop {
        match connection.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => answer.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Silent for long enough, or reset by a server that refused without reading all.
            Err(_) => return Ok(()),
        }
    }
}

/// Long enough for a piece to go out by itself.
const SEGMENT: Duration = Duration::from_millis(2);
/// Enough for an answer without a pull.
const BETWEEN: Duration = Duration::from_millis(300);
