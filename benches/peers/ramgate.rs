//! `ramgate serve`, as it is released, in a process of its own.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::Server;

/// The program. A copy: a build that runs meanwhile would take the file away.
#[derive(Debug)]
pub(crate) struct Binary {
    directory: TempDir,
}

/// `ramgate serve` and its files.
#[derive(Debug)]
pub(crate) struct Ramgate {
    pub(crate) server: Server,
    /// From the start of the process to the word that it is ready.
    pub(crate) ready_in: Duration,
    pub(crate) mirror: SocketAddr,
    pub(crate) egress: SocketAddr,
    /// Goes with the value.
    directory: TempDir,
}

// === impl Binary ===

impl Binary {
    pub(crate) fn copy(program: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::copy(program, directory.path().join("ramgate"))
            .with_context(|| program.display().to_string())?;
        Ok(Self { directory })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("ramgate")
    }
}

// === impl Ramgate ===

impl Ramgate {
    /// Starts all gates with `policy`; Docker Hub is reached at `docker_hub`.
    pub(crate) fn start(binary: &Binary, policy: &str, docker_hub: SocketAddr) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let store = directory.path().join("mirror");
        Self::start_in(directory, binary, policy, docker_hub, &store, |_, _| Ok(()))
    }

    /// The same with settings that `adjust` changes, given the directory of the state; with an authority if they want inspection.
    pub(crate) fn start_with(
        binary: &Binary,
        policy: &str,
        docker_hub: SocketAddr,
        adjust: impl FnOnce(&mut Value, &Path) -> Result<()>,
    ) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let store = directory.path().join("mirror");
        Self::start_in(directory, binary, policy, docker_hub, &store, adjust)
    }

    /// The same on a store that is there already.
    pub(crate) fn start_on(
        binary: &Binary,
        policy: &str,
        docker_hub: SocketAddr,
        store: &Path,
    ) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        Self::start_in(directory, binary, policy, docker_hub, store, |_, _| Ok(()))
    }

    /// Where it has its state.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn start_in(
        directory: TempDir,
        binary: &Binary,
        policy: &str,
        docker_hub: SocketAddr,
        store: &Path,
        adjust: impl FnOnce(&mut Value, &Path) -> Result<()>,
    ) -> Result<Self> {
        let (mirror, egress) = (free_address()?, free_address()?);
        let write = |name: &str, content: &str| -> Result<PathBuf> {
            let path = directory.path().join(name);
            std::fs::write(&path, content)?;
            Ok(path)
        };
        // By itself, as on a server: ramgate watches the directory that its policy is in.
        std::fs::create_dir(directory.path().join("etc"))?;
        let policy = write("etc/policy.json", policy)?;
        let mut settings = settings(directory.path(), &policy, mirror, egress, docker_hub, store);
        adjust(&mut settings, directory.path())?;
        let inspects = settings.pointer("/egress/inspect") == Some(&Value::Bool(true));
        let settings = write("settings.json", &settings.to_string())?;
        if inspects {
            let mut init = Command::new(binary.path());
            init.args(["egress", "--settings"]).arg(&settings);
            init.args(["ca", "init"]);
            let made = init.output()?;
            ensure!(made.status.success(), "{made:?}");
        }
        let notify = directory.path().join("notify.sock");
        let notified = UnixDatagram::bind(&notify)?;
        notified.set_nonblocking(true)?;

        let mut command = Command::new(binary.path());
        command
            .args(["--log", "warn", "serve", "--settings"])
            .arg(settings)
            .env("NOTIFY_SOCKET", &notify);
        let started = Instant::now();
        let server = Server::start(command, || Ok(notified.recv(&mut [0; 64]).is_ok()))
            .context("ramgate")?;
        Ok(Self {
            server,
            ready_in: started.elapsed(),
            mirror,
            egress,
            directory,
        })
    }
}

/// A loopback address that nobody listens at.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// All gates on, and all that they write in `directory`.
fn settings(
    directory: &Path,
    policy: &Path,
    mirror: SocketAddr,
    egress: SocketAddr,
    docker_hub: SocketAddr,
    store: &Path,
) -> Value {
    json!({
        "policy": { "path": policy },
        "state-dir": directory,
        "engine": { "socket": directory.join("no-engine.sock") },
        "plugin": { "socket": directory.join(PLUGIN_SOCKET) },
        "mirror": {
            "listen": mirror,
            "storage": format!("file://{}", store.display()),
            "upstreams": { "docker.io": { "url": format!("http://{docker_hub}") } },
        },
        "egress": { "listen": egress },
        "metrics": { "enabled": false },
        "audit": { "path": directory.join("audit.jsonl") },
    })
}

const PLUGIN_SOCKET: &str = "ramgate.sock";
