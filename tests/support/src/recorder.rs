//! An authorization plugin that allows everything and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::lab::lock;

/// An authorization plugin that allows everything. It answers until the test's process ends.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    hangs_up: Arc<AtomicBool>,
}

// === impl Recorder ===

impl Recorder {
    /// Answers at `socket`.
    pub(crate) fn start(socket: &Path) -> Result<Self> {
        let recorder = Self::default();
        let listener = UnixListener::bind(socket)?;
        let answering = recorder.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let recorder = answering.clone();
                // The daemon keeps connections, so each has its own thread; it ends when the daemon closes it.
                thread::spawn(move || recorder.answer(stream));
            }
        });
        Ok(recorder)
    }

    /// What the daemon has asked before requests, as it was sent, oldest first; and forgets it.
    pub fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut lock(&self.requests))
    }

    /// Closes the connection on the next question, once it was read, instead of answering.
    pub fn hang_up_once(&self) {
        self.hangs_up.store(true, Ordering::SeqCst);
    }

    fn answer(&self, stream: UnixStream) -> Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let (mut path, mut length, mut line) = (String::new(), 0, String::new());
            while reader.read_line(&mut line)? > 2 {
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                if let Some(target) = line.strip_prefix("POST ") {
                    target
                        .split(' ')
                        .take(1)
                        .for_each(|target| path.push_str(target));
                }
                line.clear();
            }
            if path.is_empty() {
                return Ok(());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            if path == "/AuthZPlugin.AuthZReq" {
                lock(&self.requests).push(body);
                if self.hangs_up.swap(false, Ordering::SeqCst) {
                    return Ok(());
                }
            }
            let answer = match path.as_str() {
                "/Plugin.Activate" => r#"{"Implements":["authz"]}"#,
                _ => r#"{"Allow":true}"#,
            };
            let length = answer.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}"
            )?;
        }
    }
}
