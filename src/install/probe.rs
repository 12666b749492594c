//! Questions to the engine and to the plugin, each on a connection of its own and with an end.
//!
//! HTTP/1.0, so that an answer ends where its connection does. An installation asks a dozen questions in all.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// What the engine does with a request that the plugin, and nobody else, refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Canary {
    /// The plugin has refused it.
    Guarded,
    /// Nobody has.
    Open,
    /// Another plugin has, which is asked before ours.
    Foreign,
    /// There is no such answer; why.
    Down(String),
}

/// Asks the engine for something that it does not do, and which ramgate refuses whatever its policy says: a container made of a body
/// that is not there. dockerd asks plugins about routes that it knows alone, so it has to be one.
pub(crate) fn canary(engine: &Path) -> Canary {
    match ask(engine, "POST", "/v1.40/containers/create") {
        Ok((403, body)) if body.contains("denied by plugin ramgate") => Canary::Guarded,
        Ok((403, _)) => Canary::Foreign,
        Ok((400 | 415, _)) => Canary::Open,
        // 20.10 takes it for a failure of its own.
        Ok((500, body)) if body.contains("EOF") && !body.contains("plugin") => Canary::Open,
        Ok((status, body)) => Canary::Down(format!("status {status}: {}", body.trim())),
        Err(error) => Canary::Down(error.to_string()),
    }
}

/// What the engine answers to a read; `None` if it does not.
pub(crate) fn read(engine: &Path, path: &str) -> Option<Value> {
    let (200, body) = ask(engine, "GET", path).ok()? else {
        return None;
    };
    serde_json::from_str(&body).ok()
}

/// Whether an authorization plugin answers at a socket.
pub(crate) fn is_plugin(socket: &Path) -> bool {
    ask(socket, "POST", "/Plugin.Activate")
        .is_ok_and(|(status, body)| status == 200 && body.contains("authz"))
}

fn ask(socket: &Path, method: &str, path: &str) -> io::Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: ramgate\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_SIZE_MAX_BYTES)
        .read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status
        .map(|status| (status, body.to_owned()))
        .ok_or_else(|| io::Error::other("this is no answer of HTTP"))
}

/// dockerd waits for a plugin that is gone for some 15 s before it says so.
const PATIENCE: Duration = Duration::from_secs(20);
/// `/info` takes some KiB.
const ANSWER_SIZE_MAX_BYTES: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn answering(answer: &'static str) -> Canary {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let found = canary(&socket);
        server.join().unwrap();
        found
    }

    #[test]
    fn only_our_own_refusal_is_proof() {
        let denied = "HTTP/1.0 403 Forbidden\r\n\r\n{\"message\":\"authorization denied by plugin ";
        assert_eq!(
            answering(
                "HTTP/1.0 403 Forbidden\r\n\r\n{\"message\":\"authorization denied by plugin ramgate: no\"}"
            ),
            Canary::Guarded
        );
        assert_eq!(answering(denied), Canary::Foreign);
        assert_eq!(
            answering("HTTP/1.0 400 Bad Request\r\n\r\n{}"),
            Canary::Open
        );
        assert_eq!(
            answering("HTTP/1.0 500 Internal Server Error\r\n\r\n{\"message\":\"EOF\"}"),
            Canary::Open
        );
        for broken in [
            "HTTP/1.0 500 Oops\r\n\r\nplugin ramgate failed: EOF",
            "HTTP/1.0 500 Oops\r\n\r\nplugin ramgate failed",
            "what?",
            "",
        ] {
            assert!(matches!(answering(broken), Canary::Down(_)), "{broken}");
        }
        assert!(matches!(
            canary(Path::new("/nonexistent/engine.sock")),
            Canary::Down(_)
        ));
    }
}
