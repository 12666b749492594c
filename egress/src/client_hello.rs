//! The first message of TLS, as far as it says where the client wants to go. Pure.
//!
//! A tunnel is judged by the name in its `CONNECT`; which of the sites behind one address answers is up to the name in the
//! ClientHello ([RFC 8446, section 4.1.2](https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2)). It is read across records
//! and segments however they are cut, since a server reads it so too. What two servers could read differently is refused.

use ramgate_policy::Host;
use thiserror::Error;

/// What a client begins a connection with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// TLS.
    Hello(ClientHello),
    /// Anything else.
    Plain,
}

/// Where a ClientHello wants to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientHello {
    /// The server's name, if one is given.
    pub(crate) server_name: Option<Host>,
    /// Whether another name may be inside, which only the server can read: Encrypted Client Hello.
    pub(crate) encrypted: bool,
}

/// Why the beginning of a connection cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidHello {
    /// A length that does not fit, a record of another kind between two of the handshake, or another message.
    #[error("the TLS ClientHello is malformed")]
    Malformed,
    /// The server's name is none, or there is more than one.
    #[error("the server name in the TLS ClientHello is unreadable")]
    ServerName,
    /// More than [`OPENING_MAX_BYTES`].
    #[error("the TLS ClientHello is longer than 64 KiB")]
    TooLong,
}

/// A part of a message, read from its beginning.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

// === impl Opening ===

impl Opening {
    /// Reads what `bytes` begin with; `None` when more of them are needed.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, InvalidHello> {
        match bytes {
            [] | [HANDSHAKE] => return Ok(None),
            // The record's version: 3.0 to 3.4, and whatever follows.
            [HANDSHAKE, 3, ..] => {}
            [..] => return Ok(Some(Self::Plain)),
        }
        let Some(message) = handshake(bytes)? else {
            if bytes.len() >= OPENING_MAX_BYTES {
                return Err(InvalidHello::TooLong);
            }
            return Ok(None);
        };
        ClientHello::read(&message).map(|hello| Some(Self::Hello(hello)))
    }
}

// === impl ClientHello ===

impl ClientHello {
    /// Reads the body of the message.
    fn read(body: &[u8]) -> Result<Self, InvalidHello> {
        Self::fields(Reader(body)).ok_or(InvalidHello::Malformed)?
    }

    /// `None` where a length does not fit.
    fn fields(mut body: Reader<'_>) -> Option<Result<Self, InvalidHello>> {
        const VERSION_AND_RANDOM: usize = 2 + 32;
        body.take(VERSION_AND_RANDOM)?;
        let _session = body.sized::<1>()?;
        let _suites = body.sized::<2>()?;
        let _compression = body.sized::<1>()?;
        let mut hello = Self::default();
        // TLS 1.2 and before may leave all extensions out.
        if body.0.is_empty() {
            return Some(Ok(hello));
        }
        let mut extensions = body.sized::<2>()?;
        if !body.0.is_empty() {
            return None;
        }
        while !extensions.0.is_empty() {
            let kind = extensions.number::<2>()?;
            let content = extensions.sized::<2>()?;
            match kind {
                SERVER_NAME if hello.server_name.is_some() => {
                    return Some(Err(InvalidHello::ServerName));
                }
                SERVER_NAME => match server_name(content) {
                    Some(name) => hello.server_name = Some(name),
                    None => return Some(Err(InvalidHello::ServerName)),
                },
                ENCRYPTED_CLIENT_HELLO | ENCRYPTED_SERVER_NAME => hello.encrypted = true,
                _ => {}
            }
        }
        Some(Ok(hello))
    }
}

/// RFC 6066, section 3: one name, of the only kind there is. An address or what no host name has is refused.
fn server_name(mut content: Reader<'_>) -> Option<Host> {
    let mut names = content.sized::<2>()?;
    let kind = names.number::<1>()?;
    let name = names.sized::<2>()?;
    if kind != HOST_NAME || !names.0.is_empty() || !content.0.is_empty() {
        return None;
    }
    let name = std::str::from_utf8(name.0).ok()?;
    let host = name.parse::<Host>().ok()?;
    // Brackets are of URLs, and so would be read here alone.
    (!name.starts_with('[')).then_some(host)
}

/// The body of the first handshake message, which must be a ClientHello; `None` when more bytes are needed.
fn handshake(bytes: &[u8]) -> Result<Option<Vec<u8>>, InvalidHello> {
    let mut message = Vec::new();
    let mut records = Reader(bytes);
    loop {
        if let Some(body) = whole(&message)? {
            return Ok(Some(body));
        }
        let Some(kind) = records.number::<1>() else {
            return Ok(None);
        };
        let Some(_version) = records.number::<2>() else {
            return Ok(None);
        };
        let Some(length) = records.number::<2>() else {
            return Ok(None);
        };
        // An empty record of the handshake is forbidden (RFC 8446, section 5.1), as is anything between two of its parts.
        if kind != usize::from(HANDSHAKE) || length == 0 || length > RECORD_MAX_BYTES {
            return Err(InvalidHello::Malformed);
        }
        let part = records.0.get(..length).unwrap_or(records.0);
        message.extend_from_slice(part);
        if records.take(length).is_none() {
            return whole(&message);
        }
    }
}

fn whole(message: &[u8]) -> Result<Option<Vec<u8>>, InvalidHello> {
    let mut reader = Reader(message);
    match reader.number::<1>() {
        None => return Ok(None),
        Some(CLIENT_HELLO) => {}
        Some(_) => return Err(InvalidHello::Malformed),
    }
    let Some(length) = reader.number::<3>() else {
        return Ok(None);
    };
    if length > OPENING_MAX_BYTES {
        return Err(InvalidHello::TooLong);
    }
    // Nothing may follow in the same flight: the client waits for the server now. Early data are records of their own.
    Ok(reader.0.get(..length).map(<[u8]>::to_vec))
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<Self> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Self(taken))
    }

    /// A number of `N` bytes, most significant first.
    fn number<const N: usize>(&mut self) -> Option<usize> {
        let digits = self.take(N)?;
        let number = |number: usize, digit: &u8| (number << 8) | usize::from(*digit);
        Some(digits.0.iter().fold(0, number))
    }

    /// As many bytes as a number of `N` bytes before them says.
    fn sized<const N: usize>(&mut self) -> Option<Self> {
        let length = self.number::<N>()?;
        self.take(length)
    }
}

/// A ClientHello with the largest of post-quantum keys has a few KiB; nobody sends as much as this.
pub(crate) const OPENING_MAX_BYTES: usize = 64 * 1024;
/// RFC 8446, section 5.1: a record in clear has at most 2^14 bytes.
const RECORD_MAX_BYTES: usize = 1 << 14;
/// Content type of a record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// Message of the handshake (RFC 8446, section 4).
const CLIENT_HELLO: usize = 1;
/// Extensions (IANA, TLS ExtensionType Values).
const SERVER_NAME: usize = 0;
const ENCRYPTED_CLIENT_HELLO: usize = 0xfe0d;
/// The draft before, which some servers still know.
const ENCRYPTED_SERVER_NAME: usize = 0xffce;
/// RFC 6066, section 3.
const HOST_NAME: usize = 0;

#[cfg(test)]
#[path = "client_hello/tests.rs"]
mod tests;
