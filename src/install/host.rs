//! What an installation finds on a host: read once, before anything is planned.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::command_line::CommandLine;
use super::docker_unit::DockerUnit;
use super::entry::Entry;
use super::journal::{Journal, Record};
use super::probe;
use super::step::below;
use super::unit;
use crate::settings::Settings;

/// A host as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// The directory that everything lies below: `/`, unless an image of a system is prepared.
    pub(crate) root: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) journal: Option<Record>,
    /// Whether systemd is this system's first process.
    pub(crate) systemd: bool,
    pub(crate) docker: Docker,
    /// Whether the plugin answers at its socket.
    pub(crate) gates_answer: bool,
    entries: BTreeMap<PathBuf, Entry>,
}

/// The engine of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Docker {
    /// Whether there is a dockerd, of whatever package.
    pub(crate) installed: bool,
    /// Whether there is one in a snap.
    pub(crate) snap: bool,
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
    pub(crate) pid: Option<u32>,
    pub(crate) command_line: CommandLine,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) containers: u64,
    pub(crate) images: u64,
    pub(crate) live_restore: bool,
    /// Whether a managed plugin has the name `ramgate`.
    pub(crate) managed_plugin: bool,
}

// === impl Host ===

impl Host {
    /// Looks at the host below `root`.
    ///
    /// # Errors
    /// When something that is there cannot be read.
    pub(crate) fn find(root: &Path, settings: Settings) -> anyhow::Result<Self> {
        let live = root == Path::new("/");
        let docker = Docker::find(root, live, &settings.engine_socket)?;
        let gates_answer = live
            && settings
                .plugin_socket
                .as_deref()
                .is_some_and(probe::is_plugin);
        let journal = Journal::peek(&below(root, &settings.state_dir))?;
        let mut host = Self {
            root: root.to_owned(),
            journal,
            systemd: if live {
                Path::new("/run/systemd/system").is_dir()
            } else {
                below(root, Path::new("/lib/systemd/systemd")).exists()
            },
            docker,
            gates_answer,
            entries: BTreeMap::new(),
            settings,
        };
        host.read_entries()?;
        Ok(host)
    }

    /// Whether it is the system that is running here.
    pub(crate) fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// What lies at a path.
    pub(crate) fn entry(&self, path: &Path) -> Entry {
        self.entries.get(path).cloned().unwrap_or(Entry::Absent)
    }

    /// The directories of what ramgate learns and logs.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        let log = self.settings.audit_path.parent();
        let directories = [Some(self.settings.state_dir.as_path()), log];
        directories
            .into_iter()
            .flatten()
            .map(Path::to_owned)
            .collect()
    }

    /// The directories of `certs.d`, and whether each has a `hosts.toml`.
    pub(crate) fn registry_directories(&self) -> Vec<(String, bool)> {
        let names = self.entries.keys().filter_map(|path| {
            let name = path.strip_prefix(CERTIFICATES).ok()?;
            (name.components().count() == 1).then(|| name.to_string_lossy().into_owned())
        });
        names
            .map(|name| {
                let file = Path::new(CERTIFICATES).join(&name).join(HOSTS_FILE);
                (name, self.entry(&file) != Entry::Absent)
            })
            .collect()
    }

    fn read_entries(&mut self) -> anyhow::Result<()> {
        let mut paths = vec![
            PathBuf::from(BINARY),
            PathBuf::from(crate::settings::DEFAULT_PATH),
            self.settings.policy_path.clone(),
            self.docker.daemon_json.clone(),
            Path::new(unit::DIRECTORY).join(PROXY_DROP_IN),
        ];
        paths.extend(self.kept());
        for unit in unit::UNITS {
            let directories = unit::PACKAGED.iter().chain([&unit::DIRECTORY]);
            paths.extend(directories.map(|directory| Path::new(directory).join(unit.name)));
            paths.extend(unit.wanted_by().map(|wants| wants.join(unit.name)));
        }
        let certificates = below(&self.root, Path::new(CERTIFICATES));
        for entry in fs::read_dir(certificates).into_iter().flatten().flatten() {
            let directory = Path::new(CERTIFICATES).join(entry.file_name());
            paths.push(directory.join(HOSTS_FILE));
            paths.push(directory);
        }
        for path in paths {
            let real = below(&self.root, &path);
            let entry = Entry::read(&real).with_context(|| path.display().to_string())?;
            self.entries.insert(path, entry);
        }
        Ok(())
    }
}

// === impl Docker ===

impl Docker {
    fn find(root: &Path, live: bool, socket: &Path) -> anyhow::Result<Self> {
        let there = |path: &&&str| below(root, Path::new(path)).exists();
        let unit = DockerUnit::find(root);
        let running = if live {
            Running::find(socket, unit.as_ref())
        } else {
            None
        };
        let line = running.as_ref().map(|running| &running.command_line);
        let line = line.or_else(|| unit.as_ref().map(|unit| &unit.command_line));
        let named = line
            .and_then(CommandLine::config_file)
            .unwrap_or_else(|| DAEMON_JSON.into());
        // A link is followed: it is the file that changes, and the link that stays.
        let daemon_json = match fs::canonicalize(&named) {
            Ok(real) if live => real,
            _ => named,
        };
        let version = if live { version(socket) } else { None };
        Ok(Self {
            installed: DAEMONS.iter().filter(there).count() > 0 || running.is_some(),
            snap: SNAPS.iter().filter(there).count() > 0,
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
    fn find(socket: &Path, unit: Option<&DockerUnit>) -> Option<Self> {
        if let probe::Canary::Down(_) = probe::canary(socket)
            && probe::read(socket, "/info").is_none()
        {
            return None;
        }
        let pid_file = unit
            .and_then(|unit| unit.command_line.pid_file())
            .unwrap_or_else(|| PID_FILE.into());
        let pid = fs::read_to_string(pid_file).ok();
        let pid: Option<u32> = pid.and_then(|pid| pid.trim().parse().ok());
        let of_process = |file: &str| {
            pid.and_then(|pid| fs::read(format!("/proc/{pid}/{file}")).ok())
                .unwrap_or_default()
        };
        let environment = of_process("environ");
        let environment = environment.split(|byte| *byte == 0).filter_map(|word| {
            let word = String::from_utf8_lossy(word);
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let info = probe::read(socket, "/info").unwrap_or_default();
        let plugins = probe::read(socket, "/v1.40/plugins").unwrap_or_default();
        let managed = plugins.as_array().into_iter().flatten().any(|plugin| {
            let name = plugin.get("Name").and_then(Value::as_str);
            name.is_some_and(|name| name.split(':').next() == Some("ramgate"))
        });
        let count = |key: &str| info.get(key).and_then(Value::as_u64).unwrap_or_default();
        Some(Self {
            pid,
            command_line: CommandLine::of_process(&of_process("cmdline")),
            environment: environment.collect(),
            containers: count("ContainersRunning"),
            images: count("Images"),
            live_restore: info.get("LiveRestoreEnabled") == Some(&Value::Bool(true)),
            managed_plugin: managed,
        })
    }
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

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// Where the program lies unless a package has put it elsewhere.
pub(crate) const BINARY: &str = "/usr/local/bin/ramgate";
/// The drop-in of docker's unit, below the directory of units.
pub(crate) const PROXY_DROP_IN: &str = "docker.service.d/ramgate.conf";
/// Where dockerd has what it knows of each registry.
pub(crate) const CERTIFICATES: &str = "/etc/docker/certs.d";
pub(crate) const HOSTS_FILE: &str = "hosts.toml";
const DAEMON_JSON: &str = "/etc/docker/daemon.json";
const PID_FILE: &str = "/run/docker.pid";
const DAEMONS: [&str; 3] = [
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/local/bin/dockerd",
];
const SNAPS: [&str; 2] = ["/snap/bin/docker", "/var/snap/docker"];
