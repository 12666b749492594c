//! A server in a process of its own, which ends with the value.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

// === impl Server ===

impl Server {
    /// Starts `command` and waits until it is `ready`.
    pub(crate) fn start(
        mut command: Command,
        mut ready: impl FnMut() -> Result<bool>,
    ) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let mut server = Self { child };
        let deadline = Instant::now() + PATIENCE;
        while !ready()? {
            if let Some(status) = server.child.try_wait()? {
                bail!("{command:?} left: {status}");
            }
            if Instant::now() > deadline {
                bail!("{command:?} is not ready after {PATIENCE:?}");
            }
            std::thread::sleep(PAUSE);
        }
        Ok(server)
    }

    /// Where the kernel tells of its process.
    pub(crate) fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }

    /// The time that its threads and its workers have spent on processors so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let id = self.child.id();
        let workers = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let mut seconds = cpu_seconds(&self.proc())?;
        for worker in workers.split_whitespace() {
            seconds += cpu_seconds(&Path::new("/proc").join(worker))?;
        }
        Ok(seconds)
    }

    /// The memory that it has in RAM, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path)?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok())
            .with_context(|| format!("`{path}` tells no memory"))?;
        Ok(kibibytes * 1024)
    }
}

/// The time that the threads of the process at `proc` have spent on processors so far, in seconds.
pub(crate) fn cpu_seconds(proc: &Path) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(proc.join("task"))? {
        // A thread may leave meanwhile.
        let told = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let run = told.split(' ').next().unwrap_or_default();
        nanoseconds += run.parse::<f64>().unwrap_or(0.0);
    }
    Ok(nanoseconds / 1e9)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first: nginx, when killed, leaves its workers.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// 100,000 rules take a while to read.
const PATIENCE: Duration = Duration::from_secs(30);
/// Short beside the time that any of the servers takes to start.
const PAUSE: Duration = Duration::from_micros(200);
