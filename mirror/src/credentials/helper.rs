//! Docker credential helpers: programs `docker-credential-NAME` that are told a server and tell what to log in with.
//!
//! The protocol: docker/docker-credential-helpers `README.md`, "Development".

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::Secret;

/// What helpers said, for as long as it is believed.
#[derive(Debug, Default)]
pub(crate) struct Helpers {
    slots: Mutex<HashMap<(String, String), Slot>>,
}

/// Held while a helper runs, so that for one server it runs once at a time.
type Slot = Arc<tokio::sync::Mutex<Option<Said>>>;

#[derive(Debug)]
struct Said {
    what: Result<Option<Secret>, HelperError>,
    until: Instant,
}

/// Why a helper told nothing. Never what it printed: that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum HelperError {
    #[error("`docker-credential-{0}` cannot be run; is it on the PATH of ramgate?")]
    NotRun(String),
    #[error("`docker-credential-{0}` took longer than 10 s")]
    TooSlow(String),
    #[error("`docker-credential-{0}` failed, or answered what is no credentials")]
    Failed(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

// === impl Helpers ===

impl Helpers {
    /// Asks `docker-credential-NAME` for `server`; `None` if it has nothing for it.
    pub(crate) async fn ask(
        &self,
        name: &str,
        server: &str,
    ) -> Result<Option<Secret>, HelperError> {
        let key = (name.to_owned(), server.to_owned());
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.len() >= SLOTS_MAX {
                slots.clear();
            }
            Arc::clone(slots.entry(key).or_default())
        };
        let mut said = slot.lock().await;
        if let Some(said) = said.as_ref().filter(|said| said.until > Instant::now()) {
            return said.what.clone();
        }
        let what = run(name, server).await;
        if let Err(error) = &what {
            tracing::warn!(%error, server, "credentials cannot be had");
        }
        let life = if what.is_ok() { LIFE } else { LIFE_OF_FAILURE };
        *said = Some(Said {
            what: what.clone(),
            until: Instant::now() + life,
        });
        what
    }
}

/// Whether `name` is part of the name of a credential helper, and no path.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

async fn run(name: &str, server: &str) -> Result<Option<Secret>, HelperError> {
    let not_run = || HelperError::NotRun(name.to_owned());
    if !is_name(name) {
        return Err(not_run());
    }
    let child = Command::new(format!("docker-credential-{name}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // It may say anything there, secrets included.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| not_run())?;
    let (succeeded, output) = tokio::time::timeout(TIME_MAX, converse(child, server))
        .await
        .map_err(|_elapsed| HelperError::TooSlow(name.to_owned()))?
        .map_err(|_| HelperError::Failed(name.to_owned()))?;
    read(succeeded, &output).ok_or_else(|| HelperError::Failed(name.to_owned()))
}

async fn converse(mut child: Child, server: &str) -> std::io::Result<(bool, Vec<u8>)> {
    if let Some(mut input) = child.stdin.take() {
        // A helper may answer without reading.
        let _ = input.write_all(server.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(OUTPUT_SIZE_MAX_BYTES)
            .read_to_end(&mut output)
            .await?;
    }
    let status = child.wait().await?;
    Ok((status.success(), output))
}

/// The outer `None` is a failure, the inner that there are no credentials.
fn read(succeeded: bool, output: &[u8]) -> Option<Option<Secret>> {
    if !succeeded {
        let text = String::from_utf8_lossy(output);
        return NOT_FOUND
            .iter()
            .any(|not_found| text.trim() == *not_found)
            .then_some(None);
    }
    let answer: Answer = serde_json::from_slice(output).ok()?;
    if answer.username == IDENTITY {
        return Some(Some(Secret::Identity(answer.secret)));
    }
    Some(Some(Secret::Password {
        username: answer.username,
        password: answer.secret,
    }))
}

/// What helpers print where they have nothing (docker-credential-helpers `credentials/error.go`).
const NOT_FOUND: [&str; 2] = [
    "credentials not found in native keychain",
    "credentials not found",
];
/// The name of the user whose secret is an identity token (the same, `credentials/credentials.go`).
const IDENTITY: &str = "<token>";
/// Helpers keep what they get from a cloud for as long as it is good; a rotated secret is noticed after this.
const LIFE: Duration = Duration::from_mins(5);
const LIFE_OF_FAILURE: Duration = Duration::from_secs(10);
const TIME_MAX: Duration = Duration::from_secs(10);
const OUTPUT_SIZE_MAX_BYTES: u64 = 64 * 1024;
const SLOTS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_helper_says_is_read() {
        let said = br#"{"ServerURL":"ghcr.io","Username":"user","Secret":"s"}"#;
        assert_eq!(
            read(true, said),
            Some(Some(Secret::Password {
                username: "user".to_owned(),
                password: "s".to_owned(),
            }))
        );
        let token = br#"{"ServerURL":"ghcr.io","Username":"<token>","Secret":"t"}"#;
        assert_eq!(
            read(true, token),
            Some(Some(Secret::Identity("t".to_owned())))
        );
        assert_eq!(
            read(false, b"credentials not found in native keychain\n"),
            Some(None)
        );
        assert_eq!(read(false, b"segmentation fault"), None);
        assert_eq!(read(true, b"{}"), None);
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_or_is_a_path_is_not_run() {
        for name in ["no-such-helper-here", "../../bin/sh", "a b", ""] {
            let helpers = Helpers::default();
            assert_eq!(
                helpers.ask(name, "ghcr.io").await,
                Err(HelperError::NotRun(name.to_owned()))
            );
        }
    }
}
