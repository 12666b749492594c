//! What an installation finds on a host: read once, before anything is planned.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::docker::Docker;
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
        let log = self.settings.audit.path.parent();
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

/// Where the program lies unless a package has put it elsewhere.
pub(crate) const BINARY: &str = "/usr/local/bin/ramgate";
/// The drop-in of docker's unit, below the directory of units.
pub(crate) const PROXY_DROP_IN: &str = "docker.service.d/ramgate.conf";
/// Where dockerd has what it knows of each registry.
pub(crate) const CERTIFICATES: &str = "/etc/docker/certs.d";
pub(crate) const HOSTS_FILE: &str = "hosts.toml";
