//! Starts and stops what runs: the gates and the engine, by systemd where there is one and by commands where there is not.
//!
//! Everything here has an end: an engine that does not come back within `patience` has failed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::docker::process_of;
use super::plan::Apply;
use super::probe::{self, Canary};
use crate::trust::TrustPlaces;

/// How what runs on this host is started and stopped.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) systemd: bool,
    /// Whether it is a user's own.
    pub(crate) user: bool,
    /// For hosts without systemd: starts or restarts the gates, stops them, restarts the engine.
    pub(crate) start_command: Option<String>,
    pub(crate) stop_command: Option<String>,
    pub(crate) restart_command: Option<String>,
    pub(crate) engine_socket: PathBuf,
    pub(crate) plugin_socket: PathBuf,
    /// Where dockerd writes down its process.
    pub(crate) engine_pid_file: PathBuf,
    pub(crate) patience: Duration,
}

// === impl Control ===

impl Control {
    /// Has systemd read its units again.
    pub(crate) fn reload_units(&self) -> anyhow::Result<()> {
        if self.systemd {
            self.systemctl(&["daemon-reload"])?;
        }
        Ok(())
    }

    /// Starts the gates, or restarts them, and waits until the plugin answers. The engine is not told of a plugin that does not.
    pub(crate) fn start_gates(&self, restart: bool) -> anyhow::Result<()> {
        match (self.systemd, restart, &self.start_command) {
            (true, false, _) => self.systemctl(&["start", SOCKET, SERVICE])?,
            // Not the socket: what the engine asks meanwhile waits there.
            (true, true, _) => self.systemctl(&["restart", SERVICE])?,
            (false, _, Some(command)) => self.run(&["sh", "-c", command])?,
            (false, _, None) => {}
        }
        self.wait("the plugin", || {
            if probe::is_plugin(&self.plugin_socket) {
                Ok(())
            } else {
                Err(format!(
                    "no authorization plugin answers at {}",
                    self.plugin_socket.display()
                ))
            }
        })
    }

    /// Stops the gates. That they do not run is as good.
    pub(crate) fn stop_gates(&self) {
        let stopped = match (self.systemd, &self.stop_command) {
            (true, _) => self.systemctl(&["stop", SOCKET, SERVICE]),
            (false, Some(command)) => self.run(&["sh", "-c", command]),
            (false, None) => Ok(()),
        };
        if let Err(error) = stopped {
            tracing::debug!(%error, "the gates could not be stopped");
        }
    }

    /// Has the engine read its settings again.
    pub(crate) fn apply(&self, how: Apply) -> anyhow::Result<()> {
        match how {
            Apply::Nothing => Ok(()),
            // The process of a user's unit is not the engine's, and does not hand the signal on.
            Apply::Reload => match (
                self.systemd && !self.user,
                process_of(&self.engine_pid_file),
            ) {
                (true, _) => self.systemctl(&["reload", "docker.service"]),
                (false, Some(pid)) => self.run(&["kill", "-HUP", &pid.to_string()]),
                (false, None) => self.apply(Apply::Restart),
            },
            Apply::Restart if self.systemd => {
                // An engine that was started too often is not started again, whatever was mended.
                let _ = self.systemctl(&["reset-failed", "docker.service"]);
                self.systemctl(&["restart", "docker.service"])
            }
            Apply::Restart => match &self.restart_command {
                Some(command) => self.run(&["sh", "-c", command]),
                None => bail!("there is no `--restart-command`; restart the engine"),
            },
        }
    }

    /// Waits until the engine answers, and until ramgate's plugin is asked, or is not any more.
    pub(crate) fn wait_for_engine(&self, guarded: bool) -> anyhow::Result<()> {
        self.wait("the engine", || {
            match (probe::canary(&self.engine_socket), guarded) {
                (Canary::Guarded, true) | (Canary::Open, false) | (Canary::Foreign, _) => Ok(()),
                (Canary::Guarded, false) => Err("it still asks ramgate".to_owned()),
                (Canary::Open, true) => Err("it does not ask ramgate".to_owned()),
                (Canary::Down(why), _) => Err(why),
            }
        })
    }

    /// Finds `certificate` among those that the engine has read, as far as it can be seen where it reads them.
    pub(crate) fn check_trust(&self, certificate: &str) -> anyhow::Result<()> {
        let process = process_of(&self.engine_pid_file).and_then(TrustPlaces::of_process);
        match process.map(|places| places.find(certificate)) {
            Some(None) => bail!(
                "the engine does not trust ramgate's certificate: its environment sets `SSL_CERT_DIR` elsewhere; take that away"
            ),
            Some(Some(_)) | None => Ok(()),
        }
    }

    /// Whether the engine answers now.
    pub(crate) fn engine_answers(&self) -> bool {
        !matches!(probe::canary(&self.engine_socket), Canary::Down(_))
    }

    fn wait(&self, what: &str, ask: impl Fn() -> Result<(), String>) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.patience;
        loop {
            match ask() {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() >= deadline => {
                    bail!("waited {:?} in vain for {what}: {why}", self.patience)
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Asks the systemd that all of it runs under.
    pub(super) fn systemctl(&self, words: &[&str]) -> anyhow::Result<()> {
        let program: &[&str] = if self.user {
            &["systemctl", "--user"]
        } else {
            &["systemctl"]
        };
        self.run(&[program, words].concat())
    }

    pub(super) fn run(&self, words: &[&str]) -> anyhow::Result<()> {
        self.run_with(words, Stdio::inherit())
    }

    /// As [`Self::run`], of a command that may well fail.
    pub(super) fn run_quietly(&self, words: &[&str]) -> anyhow::Result<()> {
        self.run_with(words, Stdio::null())
    }

    fn run_with(&self, words: &[&str], errors: Stdio) -> anyhow::Result<()> {
        let shown = words.join(" ");
        let [program, arguments @ ..] = words else {
            bail!("there is no command");
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            // Not a pipe: what a command leaves running may hold it open.
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("running `{shown}`"))?;
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(status) = child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("`{shown}` failed: {status}");
            }
            if Instant::now() >= deadline {
                child.kill()?;
                child.wait()?;
                bail!("`{shown}` did not end within {:?}", self.patience);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

const PAUSE: Duration = Duration::from_millis(50);
const SOCKET: &str = "ramgate.socket";
const SERVICE: &str = "ramgate.service";
