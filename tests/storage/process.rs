//! `ramgate serve` with a mirror only, in a process of its own that a test may kill.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A mirror.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    files: TempDir,
}

// === impl Process ===

impl Process {
    /// Starts a mirror of `origin` with this part of the settings beside where it listens and fetches from.
    pub(crate) fn start(origin: SocketAddr, mirror: &Value) -> Result<Self> {
        Self::start_in(origin, mirror, &[])
    }

    /// The same behind the words of another command.
    pub(crate) fn start_in(origin: SocketAddr, mirror: &Value, before: &[&str]) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut mirror = mirror.clone();
        mirror["listen"] = json!(address.to_string());
        mirror["upstreams"] = json!({ "registry.test": { "url": format!("http://{origin}") } });
        let path = |name: &str| files.path().join(name);
        let settings = json!({
            "policy": { "path": path("etc/policy.json") },
            "state-dir": path("state"),
            "engine": { "socket": path("no-engine.sock") },
            "plugin": { "enabled": false },
            "egress": { "enabled": false },
            "audit": { "path": path("audit.jsonl") },
            "mirror": mirror,
        });
        std::fs::create_dir(path("etc"))?;
        let policy = json!({ "version": 1, "registries": [{ "host": "registry.test" }] });
        std::fs::write(path("etc/policy.json"), policy.to_string())?;
        std::fs::write(path("settings.json"), settings.to_string())?;
        let mut words = before.iter().map(PathBuf::from).collect::<Vec<_>>();
        words.push(env!("CARGO_BIN_EXE_ramgate").into());
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(["serve", "--settings"])
            .arg(path("settings.json"))
            .stderr(std::fs::File::create(path("log"))?)
            .spawn()?;
        let mut process = Self {
            child,
            address,
            files,
        };
        process.wait()?;
        Ok(process)
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("ramgate left: {status}\n{}", self.log());
            }
            if begun.elapsed() > Duration::from_secs(20) {
                bail!("ramgate does not listen\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }

    /// By SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Runs `ramgate mirror` with its settings, behind the words of another command.
    pub(crate) fn mirror(&self, before: &[&str], command: &str) -> Result<Output> {
        let mut words = before.iter().map(PathBuf::from).collect::<Vec<_>>();
        words.push(env!("CARGO_BIN_EXE_ramgate").into());
        Command::new(&words[0])
            .args(&words[1..])
            .args(["mirror", "--settings"])
            .arg(self.files.path().join("settings.json"))
            .args([command, "--json"])
            .stdin(Stdio::null())
            .output()
            .context("ramgate mirror")
    }

    /// What `ramgate mirror` says, and that it is content.
    pub(crate) fn says(&self, before: &[&str], command: &str) -> Result<Value> {
        let output = self.mirror(before, command)?;
        if !output.status.success() {
            bail!(
                "ramgate mirror {command}: {}\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The storage in a directory.
pub(crate) fn directory(path: &Path) -> Value {
    json!({ "storage": format!("file://{}", path.display()) })
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return files;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}
