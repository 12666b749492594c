//! A site's own proxy, behind which the gate stands.
//!
//! It is asked by `CONNECT` for tunnels, and in absolute form for `http://`. It resolves names itself, often because nobody
//! else can, so the rule about addresses that names lead to is its own to keep; addresses spelled out are judged here.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::HeaderValue;
use ramgate_policy::{Host, TunnelPermit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::no_proxy::NoProxy;
use crate::tunnel::FarEnd;
use crate::upstream::UpstreamError;

/// Where it is, what it is told, and what does not go there.
#[derive(Clone, Debug)]
pub struct UpstreamProxy {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// `Proxy-Authorization`, marked so that nothing shows it.
    authorization: Option<HeaderValue>,
    no_proxy: NoProxy,
}

// === impl UpstreamProxy ===

impl UpstreamProxy {
    /// A proxy at `host` and `port`, spoken to in HTTP without TLS, for all that `no_proxy` does not cover.
    #[must_use]
    pub const fn new(host: Host, port: u16, no_proxy: NoProxy) -> Self {
        Self {
            host,
            port,
            authorization: None,
            no_proxy,
        }
    }

    /// With credentials, sent as `Basic` (RFC 7617). A colon in `username` would end it early, so the caller refuses one.
    #[must_use]
    pub fn with_credentials(mut self, username: &str, password: &str) -> Self {
        let encoded = BASE64_STANDARD.encode(format!("{username}:{password}"));
        // Base64 has no letter that a header has not.
        self.authorization = HeaderValue::try_from(format!("Basic {encoded}")).ok();
        if let Some(value) = &mut self.authorization {
            value.set_sensitive(true);
        }
        self
    }

    /// Whether `host` at `port` is reached through it.
    pub(crate) fn carries(&self, host: &Host, port: u16) -> bool {
        !self.no_proxy.covers(host, port)
    }

    pub(crate) const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Asks for a tunnel to what `permit` allows, over `stream`, which leads to the proxy.
    pub(crate) async fn tunnel(
        &self,
        permit: &TunnelPermit,
        mut stream: TcpStream,
    ) -> Result<FarEnd, UpstreamError> {
        let failed = |error: std::io::Error| UpstreamError::Proxy(error.to_string());
        stream
            .write_all(&self.request(permit))
            .await
            .map_err(failed)?;
        let mut answer = Vec::new();
        loop {
            let read = (&mut stream)
                .take(ANSWER_STEP_BYTES)
                .read_buf(&mut answer)
                .await
                .map_err(failed)?;
            if let Some(end) = head_end(&answer) {
                check_answer(answer.get(..end).unwrap_or_default())?;
                let early = Bytes::copy_from_slice(answer.get(end..).unwrap_or_default());
                return Ok(FarEnd { stream, early });
            }
            if read == 0 || answer.len() > ANSWER_MAX_BYTES {
                return Err(UpstreamError::Proxy("its answer is unreadable".to_owned()));
            }
        }
    }

    fn request(&self, permit: &TunnelPermit) -> Vec<u8> {
        let host = permit.host();
        let target = if host.as_str().contains(':') {
            format!("[{host}]:{}", permit.port())
        } else {
            format!("{host}:{}", permit.port())
        };
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request
    }
}

/// Just behind the empty line.
fn head_end(answer: &[u8]) -> Option<usize> {
    answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|start| start + 4)
}

/// Whether `head` says that the tunnel is open; else what it says, in one line.
fn check_answer(head: &[u8]) -> Result<(), UpstreamError> {
    let text = String::from_utf8_lossy(head);
    let line = text.lines().next().unwrap_or_default();
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..))
        .ok_or_else(|| UpstreamError::Proxy("its answer is unreadable".to_owned()))?;
    if status.starts_with('2') {
        return Ok(());
    }
    let shown: String = status
        .chars()
        .filter(|letter| !letter.is_control())
        .take(STATUS_SHOWN)
        .collect();
    Err(UpstreamError::Proxy(format!("it answers `{shown}`")))
}

const ANSWER_STEP_BYTES: u64 = 4096;
/// As much as the gate takes itself.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
const STATUS_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_opens_a_tunnel() {
        assert!(check_answer(b"HTTP/1.1 200 Connection established\r\n\r\n").is_ok());
        assert!(check_answer(b"HTTP/1.0 200 OK\r\n\r\n").is_ok());
        for head in [
            &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..],
            b"HTTP/2 200\r\n\r\n",
            b"200 OK\r\n\r\n",
            b"\r\n\r\n",
        ] {
            assert!(check_answer(head).is_err(), "{head:?}");
        }
        let said = check_answer(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").unwrap_err();
        assert!(
            said.to_string()
                .contains("it answers `407 Proxy Authentication Required`"),
            "{said}"
        );
    }

    #[test]
    fn credentials_are_not_shown() {
        let proxy = UpstreamProxy::new("proxy.example".parse().unwrap(), 3128, NoProxy::default())
            .with_credentials("user", "secret");
        assert!(!format!("{proxy:?}").contains("dXNlcjpzZWNyZXQ"));
    }
}
