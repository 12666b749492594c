//! A lab's root booted as a server: systemd and Debian's own units, where packaging and instructions are tried.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::command::{Command, Output, Process, wait_until};
use crate::lab::Lab;

/// A booted system inside of a lab, which it shares the network and the files with. It ends with the lab at the latest.
///
/// It has the engine of Debian's package, started by its unit: not the one that [`Lab::start_engine`] starts.
#[derive(Debug)]
pub struct Server<'a> {
    lab: &'a Lab,
    /// Its PID 1, as the lab counts it.
    pid: u32,
    _systemd: Process,
}

// === impl Lab ===

impl Lab {
    /// Boots systemd on the lab's root and waits until it is up.
    ///
    /// # Errors
    ///
    /// When the root has no systemd, or it is not up within half a minute. The error shows its log.
    pub fn boot(&self) -> Result<Server<'_>> {
        self.remove_file(PID_FILE)?; // that of the boot before
        let systemd = self
            .command("bash")
            .args(["-c", include_str!("boot.sh"), "boot", self.name()])
            .spawn(SYSTEMD)?;
        let booted = || -> Result<u32> {
            let pid = wait_until("the server's PID 1", PATIENCE, || {
                if let Some(status) = systemd.status()? {
                    bail!("it left: {status}");
                }
                let written = self.read_file(PID_FILE).unwrap_or_default();
                Ok(written.trim_end().parse().ok())
            })?;
            wait_until("systemd", PATIENCE, || {
                if let Some(status) = systemd.status()? {
                    bail!("it left: {status}");
                }
                let state = inside(self, pid, "systemctl")
                    .args(["is-system-running"])
                    .run()?
                    .stdout;
                Ok(matches!(state.trim_end(), "running" | "degraded").then_some(()))
            })?;
            Ok(pid)
        };
        let pid = booted().with_context(|| format!("booting\n{}", self.log(SYSTEMD)))?;
        Ok(Server {
            lab: self,
            pid,
            _systemd: systemd,
        })
    }
}

// === impl Server ===

impl Server<'_> {
    /// A command to be run on the server.
    pub fn command(&self, program: &str) -> Command {
        inside(self.lab, self.pid, program)
    }

    /// Runs a program on the server.
    ///
    /// # Errors
    ///
    /// When it does not end within a minute. That it failed is in the output.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        self.command(program).args(args).run()
    }

    /// What the journal has of a unit.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn journal(&self, unit: &str) -> Result<String> {
        Ok(self
            .run("journalctl", &["--no-pager", "--unit", unit])?
            .stdout)
    }
}

fn inside(lab: &Lab, pid: u32, program: &str) -> Command {
    lab.command("nsenter")
        .args(["--target", &pid.to_string()])
        .args(["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--"])
        .args([program])
}

const SYSTEMD: &str = "systemd";
const PID_FILE: &str = "/run/lab/server.pid";
const PATIENCE: Duration = Duration::from_secs(30);
