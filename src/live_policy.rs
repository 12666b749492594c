//! The policy in force: read at start, read again on SIGHUP and when its file changes.
//!
//! INVARIANT(last-good): a file that cannot be read or is invalid never replaces a policy in force, and never starts a gate.

mod files;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{RecursiveMode, Watcher as _};
use ramgate_policy::{Policy, Registry};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::PolicyMetrics;
pub(crate) use files::{PolicyError, Texts, digest, drop_ins, folded, load, parse, read};

/// A policy file, its drop-ins, and what they last held that was valid.
#[derive(Debug)]
pub(crate) struct LivePolicy {
    path: PathBuf,
    mirrors: Vec<Registry>,
    texts: Texts,
    metrics: PolicyMetrics,
    current: Arc<ArcSwap<Policy>>,
    standing: Arc<Mutex<Standing>>,
}

/// How it stands with the policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// When it was read.
    pub(crate) since: jiff::Timestamp,
    /// Of which text it is: see [`digest`]. A ramgate from before this was there does not say.
    #[serde(default)]
    pub(crate) digest: Option<String>,
    /// Why the file, as it is now, was not taken.
    pub(crate) error: Option<String>,
}

// === impl LivePolicy ===

impl LivePolicy {
    /// Reads `path`. `mirrors` are the addresses of our own mirror, see [`Policy::with_mirrors`].
    pub(crate) fn load(path: &Path, mirrors: Vec<Registry>) -> Result<Self, PolicyError> {
        let texts = read(path)?;
        let policy = parse(&texts)?.with_mirrors(mirrors.clone());
        let standing = Standing::of(&texts);
        Ok(Self {
            path: path.to_owned(),
            mirrors,
            texts,
            metrics: PolicyMetrics::default(),
            current: Arc::new(ArcSwap::from_pointee(policy)),
            standing: Arc::new(Mutex::new(standing)),
        })
    }

    /// The snapshot that the gates read.
    pub(crate) fn current(&self) -> Arc<ArcSwap<Policy>> {
        Arc::clone(&self.current)
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &PolicyMetrics {
        &self.metrics
    }

    /// How it stands with it; changes with every reading.
    pub(crate) fn standing(&self) -> Arc<Mutex<Standing>> {
        Arc::clone(&self.standing)
    }

    /// Reads the file anew whenever it changes or `hangup` comes, until `shutdown`.
    pub(crate) async fn follow(
        mut self,
        mut hangup: Signal,
        shutdown: CancellationToken,
    ) -> Result<(), PolicyError> {
        let unwatchable = |path: &Path, source: Box<dyn std::error::Error + Send + Sync>| {
            PolicyError::Unwatchable {
                path: path.to_owned(),
                source,
            }
        };
        let (changed, mut changes) = mpsc::channel(1);
        // The directory, not the file: editors and `mv` put a new file in the old one's place.
        let directory = self
            .path
            .parent()
            .map_or_else(|| PathBuf::from("/"), Path::to_owned);
        let mut watcher = notify::recommended_watcher(move |_event| {
            // A full channel already says that something changed.
            let _ = changed.try_send(());
        })
        .map_err(|error| unwatchable(&self.path, error.into()))?;
        watcher
            .watch(&directory, RecursiveMode::NonRecursive)
            .map_err(|error| unwatchable(&self.path, error.into()))?;
        // It may not be there, and may come: then the directory above shows it, and from there on a signal is needed.
        let _ = watcher.watch(&self.path.with_extension("d"), RecursiveMode::NonRecursive);
        loop {
            let asked = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = hangup.recv() => true,
                _ = changes.recv() => {
                    tokio::time::sleep(SETTLE).await;
                    while changes.try_recv().is_ok() {}
                    false
                }
            };
            self.reload(asked);
        }
    }

    /// `asked` for by a signal: then the log says something even if nothing changed.
    fn reload(&mut self, asked: bool) {
        let read = read(&self.path).and_then(|texts| {
            if texts == self.texts && !asked {
                return Ok(None);
            }
            parse(&texts).map(|policy| Some((texts, policy)))
        });
        match read {
            // The file is again what is in force.
            Ok(None) => self.stand().error = None,
            Ok(Some((texts, policy))) => {
                *self.stand() = Standing::of(&texts);
                self.texts = texts;
                self.current
                    .store(Arc::new(policy.with_mirrors(self.mirrors.clone())));
                self.metrics.reloaded(true);
                tracing::info!(policy = %self.path.display(), "policy in force");
            }
            Err(error) => {
                self.metrics.reloaded(false);
                tracing::error!(%error, "policy not taken, the last good one stays in force");
                self.stand().error = Some(error.to_string());
            }
        }
    }

    fn stand(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Standing ===

impl Standing {
    fn of(texts: &Texts) -> Self {
        Self {
            since: jiff::Timestamp::now(),
            digest: Some(digest(texts)),
            error: None,
        }
    }
}

/// Editors write in several steps; a policy is read once they are done. Well under the second that a change may take.
const SETTLE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_policy_never_replaces_a_good_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.json");
        std::fs::write(&path, r#"{ "version": 1, "mode": "audit" }"#).unwrap();
        let mut live = LivePolicy::load(&path, Vec::new()).unwrap();
        let current = live.current();
        for broken in ["", "{", r#"{ "version": 1, "mode": "off" }"#] {
            std::fs::write(&path, broken).unwrap();
            live.reload(true);
            assert!(current.load().is_audit(), "{broken}");
            let standing = live.standing();
            assert!(standing.lock().unwrap().error.is_some(), "{broken}");
        }
        std::fs::remove_file(&path).unwrap();
        live.reload(true);
        assert!(current.load().is_audit(), "a file that is gone");
        std::fs::write(&path, r#"{ "version": 1 }"#).unwrap();
        live.reload(false);
        assert!(!current.load().is_audit(), "a good one is taken");
        assert_eq!(live.standing().lock().unwrap().error, None);
    }

    #[test]
    fn drop_ins_are_taken_in_and_never_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.json");
        std::fs::write(&path, r#"{ "version": 1 }"#).unwrap();
        let mut live = LivePolicy::load(&path, Vec::new()).unwrap();
        let current = live.current();
        assert!(!current.load().stops_denied());
        std::fs::create_dir(directory.path().join("policy.d")).unwrap();
        let drop_in = directory.path().join("policy.d/10-site.json");
        std::fs::write(&drop_in, r#"{ "version": 1, "watch": "stop" }"#).unwrap();
        live.reload(false);
        assert!(current.load().stops_denied());
        std::fs::write(&drop_in, r#"{ "version": 1, "mode": "audit" }"#).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(
            error.contains("policy.d/10-site.json: line 1: mode: unknown key"),
            "{error}"
        );
        live.reload(false);
        assert!(current.load().stops_denied(), "the last good one stays");
    }

    #[test]
    fn drop_ins_that_cannot_be_reached_are_no_absence_of_drop_ins() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.json");
        let folder = directory.path().join("policy.d");
        std::fs::write(&path, r#"{ "version": 1 }"#).unwrap();
        assert!(load(&path).is_ok());
        std::os::unix::fs::symlink(directory.path().join("unmounted"), &folder).unwrap();
        assert!(load(&path).is_err(), "a link that leads nowhere");
        std::fs::remove_file(&folder).unwrap();
        std::fs::write(&folder, "{}").unwrap();
        assert!(load(&path).is_err(), "a file where a folder should be");
        let itself = directory.path().join("own.d");
        std::fs::write(&itself, r#"{ "version": 1 }"#).unwrap();
        assert!(load(&itself).is_ok(), "the policy itself");
    }

    #[test]
    fn a_missing_policy_says_what_to_do() {
        let error = load(Path::new("/nonexistent/policy.json")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nonexistent/policy.json: there is no policy; write one with `ramgate policy init`"
        );
    }
}
