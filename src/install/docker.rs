//! The engine of a host: whether there is one, how it was started and what it is doing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::command_line::CommandLine;
use super::docker_unit::DockerUnit;
use super::layout::Layout;
use super::probe;
use super::step::below;
use crate::trust::{TrustPlaces, assignments};

/// The engine of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Docker {
    /// Whether there is a dockerd, of whatever package.
    pub(crate) installed: bool,
    /// Whether there is one in a snap.
    pub(crate) snap: bool,
    /// Whether it is Podman that answers at the engine's socket.
    pub(crate) podman: bool,
    /// Major version; unknown where it cannot be asked.
    pub(crate) major: Option<u32>,
    pub(crate) unit: Option<DockerUnit>,
    /// What it is doing, if it runs.
    pub(crate) running: Option<Running>,
    /// `daemon.json`, with links followed.
    pub(crate) daemon_json: PathBuf,
}

/// An engine that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    pub(crate) command_line: CommandLine,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) containers: u64,
    pub(crate) images: u64,
    pub(crate) live_restore: bool,
    /// Whether a managed plugin has the name `ramgate`.
    pub(crate) managed_plugin: bool,
}

// === impl Docker ===

impl Docker {
    /// Looks at the engine of the host below `root`, which is asked if it is `live`.
    pub(super) fn find(
        root: &Path,
        live: bool,
        layout: &Layout,
        socket: &Path,
    ) -> anyhow::Result<Self> {
        let there = |path: &&&str| below(root, Path::new(path)).exists();
        let unit = DockerUnit::find(root, layout);
        let running = if live {
            Running::find(socket, &pid_file(unit.as_ref(), layout))
        } else {
            None
        };
        let line = running.as_ref().map(|running| &running.command_line);
        let line = line.or_else(|| unit.as_ref().map(|unit| &unit.command_line));
        let named = line
            .and_then(CommandLine::config_file)
            .unwrap_or_else(|| layout.daemon_json.clone());
        // A link is followed: it is the file that changes, and the link that stays.
        let daemon_json = match fs::canonicalize(&named) {
            Ok(real) if live => real,
            _ => named,
        };
        let version = if live { version(socket) } else { None };
        let snap = SNAPS.iter().filter(there).count() > 0;
        let podman = live && running.is_some() && is_podman(socket);
        // What runs may be another's: a snap's engine answers at the same socket.
        let runs = running.is_some() && !snap && !podman;
        Ok(Self {
            installed: DAEMONS.iter().filter(there).count() > 0 || runs,
            snap,
            podman,
            major: version.as_deref().and_then(major),
            unit,
            running,
            daemon_json,
        })
    }

    /// Whether `daemon.json` may have `proxies`. Older engines do not start with that key.
    pub(crate) fn reads_proxies(&self) -> bool {
        self.major.is_some_and(|major| major >= 23)
    }

    /// Whether it may read `hosts.toml`; where its version is not known, the file does no harm.
    pub(crate) fn reads_hosts_files(&self) -> bool {
        self.major.is_none_or(|major| major >= 28)
    }

    /// The proxy that its environment names for `variable`.
    pub(crate) fn environment(&self, variable: &str) -> Option<&str> {
        let running = self.running.as_ref().map(|running| &running.environment);
        let unit = self.unit.as_ref().map(|unit| &unit.environment);
        let names = [variable.to_owned(), variable.to_lowercase()];
        running
            .into_iter()
            .chain(unit)
            .flat_map(|environment| names.iter().filter_map(|name| environment.get(name)))
            .map(String::as_str)
            .find(|value| !value.is_empty())
    }

    /// Where it will find the certificates that it trusts.
    pub(crate) fn trust_places(&self) -> TrustPlaces {
        let unit = self.unit.as_ref().map(|unit| &unit.environment);
        let running = self.running.as_ref().map(|running| &running.environment);
        // A unit says what the next start will have; without one it is as it was.
        let environment = unit.or(running).cloned().unwrap_or_default();
        TrustPlaces::of(&environment)
    }

    /// The flags that stand for a key of `daemon.json`, now or at the next start.
    pub(crate) fn flags_for(&self, key: &str) -> Vec<&str> {
        let running = self.running.as_ref().map(|running| &running.command_line);
        let unit = self.unit.as_ref().map(|unit| &unit.command_line);
        let lines = running.into_iter().chain(unit);
        lines.flat_map(|line| line.flags_for(key)).collect()
    }
}

// === impl Running ===

impl Running {
    fn find(socket: &Path, pid_file: &Path) -> Option<Self> {
        if let probe::Canary::Down(_) = probe::canary(socket)
            && probe::read(socket, "/info").is_none()
        {
            return None;
        }
        let pid = process_of(pid_file);
        let of_process = |file: &str| {
            pid.and_then(|pid| fs::read(format!("/proc/{pid}/{file}")).ok())
                .unwrap_or_default()
        };
        let environment = assignments(&of_process("environ"));
        let info = probe::read(socket, "/info").unwrap_or_default();
        let plugins = probe::read(socket, "/v1.40/plugins").unwrap_or_default();
        let managed = plugins.as_array().into_iter().flatten().any(|plugin| {
            let name = plugin.get("Name").and_then(Value::as_str);
            name.is_some_and(|name| name.split(':').next() == Some("ramgate"))
        });
        let count = |key: &str| info.get(key).and_then(Value::as_u64).unwrap_or_default();
        Some(Self {
            command_line: CommandLine::of_process(&of_process("cmdline")),
            environment,
            containers: count("ContainersRunning"),
            images: count("Images"),
            live_restore: info.get("LiveRestoreEnabled") == Some(&Value::Bool(true)),
            managed_plugin: managed,
        })
    }
}

/// Where the engine writes down its process.
pub(crate) fn pid_file(unit: Option<&DockerUnit>, layout: &Layout) -> PathBuf {
    unit.and_then(|unit| unit.command_line.pid_file())
        .unwrap_or_else(|| layout.pid_file.clone())
}

/// The engine of this system, if it runs and says where.
pub(crate) fn engine_process() -> Option<u32> {
    let layout = Layout::system();
    let unit = DockerUnit::find(Path::new("/"), &layout);
    process_of(&pid_file(unit.as_ref(), &layout))
}

/// The process that is written down there.
pub(crate) fn process_of(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file).ok()?.trim().parse().ok()
}

/// What the engine says, or what its program says where it does not run.
fn version(socket: &Path) -> Option<String> {
    let told = probe::read(socket, "/version");
    let told = told
        .as_ref()
        .and_then(|version| version.get("Version"))
        .and_then(Value::as_str);
    if let Some(version) = told {
        return Some(version.to_owned());
    }
    let output = std::process::Command::new("dockerd")
        .arg("--version")
        .output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    Some(text.strip_prefix("Docker version ")?.to_owned())
}

/// Podman answers as Docker would, but for the name of its parts.
fn is_podman(socket: &Path) -> bool {
    let version = probe::read(socket, "/version").unwrap_or_default();
    let parts = version.get("Components").and_then(Value::as_array);
    let mut names = parts
        .into_iter()
        .flatten()
        .filter_map(|part| part.get("Name")?.as_str());
    names.any(|name| name.contains("Podman"))
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

const DAEMONS: [&str; 3] = [
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/local/bin/dockerd",
];
const SNAPS: [&str; 2] = ["/snap/bin/docker", "/var/snap/docker"];
