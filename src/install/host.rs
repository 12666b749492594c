//! What an installation finds on a host: read once, before anything is planned.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::docker::Docker;
use super::entry::Entry;
use super::journal::Journal;
use super::layout::Layout;
use super::probe;
use super::record::Record;
use super::step::below;
use super::unit;
use crate::inspection::AuthorityFiles;
use crate::live_policy::{self, Texts};
use crate::nft::{self, Standing};
use crate::settings::Settings;

/// A host as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// The directory that everything lies below: `/`, unless an image of a system is prepared.
    pub(crate) root: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) settings: Settings,
    pub(crate) journal: Option<Record>,
    /// Whether systemd is this system's first process.
    pub(crate) systemd: bool,
    pub(crate) docker: Docker,
    /// Whether the plugin answers at its socket.
    pub(crate) gates_answer: bool,
    /// The policy, with links followed.
    pub(crate) policy_file: PathBuf,
    /// The drop-ins that tighten the policy.
    pub(crate) drop_ins: Texts,
    /// A file that all programs in Go read certificates from; `None` where they read from nowhere.
    pub(crate) trusted_by_all: Option<PathBuf>,
    /// Whether there is the program `nft`.
    pub(crate) has_nft: bool,
    /// How it stands with the firewall's rules, where the settings have any.
    pub(crate) rules: Option<Standing>,
    entries: BTreeMap<PathBuf, Entry>,
}

// === impl Host ===

impl Host {
    /// Looks at the host below `root`.
    ///
    /// # Errors
    /// When something that is there cannot be read.
    pub(crate) fn find(root: &Path, layout: Layout, settings: Settings) -> anyhow::Result<Self> {
        let live = root == Path::new("/");
        let docker = Docker::find(root, live, &layout, &settings.engine_socket)?;
        let gates_answer = live
            && settings
                .plugin_socket
                .as_deref()
                .is_some_and(probe::is_plugin);
        let journal = Journal::peek(&below(root, &settings.state_dir))?;
        let egress = settings.egress.as_ref().filter(|_| live);
        let transparent = egress.and_then(|egress| egress.transparent.as_ref());
        let systemd = match (&layout.user, live) {
            (Some(user), _) => user.manager.exists(),
            (None, true) => Path::new("/run/systemd/system").is_dir(),
            (None, false) => below(root, Path::new("/lib/systemd/systemd")).exists(),
        };
        let mut host = Self {
            root: root.to_owned(),
            layout,
            journal,
            systemd,
            docker,
            gates_answer,
            policy_file: match fs::canonicalize(&settings.policy_path) {
                Ok(real) if live => real,
                _ => settings.policy_path.clone(),
            },
            drop_ins: drop_ins(root, &settings.policy_path)?,
            trusted_by_all: None,
            has_nft: nft::program::is_installed(root),
            rules: transparent.map(|transparent| Standing::of(transparent.listen)),
            entries: BTreeMap::new(),
            settings,
        };
        let mut directories = host.docker.trust_places().directories.into_iter();
        let directory = directories.find(|place| below(root, place).is_dir());
        host.trusted_by_all = directory.map(|place| place.join(TRUSTED));
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

    /// The file that the engine alone reads a certificate from, and which is alone in its directory.
    pub(crate) fn trusted_file(&self) -> PathBuf {
        self.settings.state_dir.join("trust").join(TRUSTED)
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
            self.layout.binary.clone(),
            self.layout.settings.clone(),
            self.policy_file.clone(),
            self.docker.daemon_json.clone(),
            self.layout.units.join(PROXY_DROP_IN),
            self.layout.units.join(INSPECTION_DROP_IN),
            self.trusted_file(),
        ];
        let authority = AuthorityFiles::below(&self.settings.state_dir);
        paths.extend([authority.certificate, authority.key]);
        paths.extend(self.trusted_by_all.clone());
        paths.extend(self.kept());
        paths.extend(self.layout.user.as_ref().map(|user| user.spec.clone()));
        let units = &self.layout.units;
        for unit in self.layout.gate_units().into_iter().chain([unit::RULES]) {
            let directories = self.layout.packaged.iter().chain([units]);
            paths.extend(directories.map(|directory| directory.join(unit.name)));
            let wants = unit.wanted_by(units).into_iter();
            paths.extend(wants.map(|wants| wants.join(unit.name)));
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

/// The drop-ins of the policy, each under the path that it has on that system.
fn drop_ins(root: &Path, policy: &Path) -> anyhow::Result<Texts> {
    let mut texts = live_policy::drop_ins(&below(root, policy))?;
    for (path, _) in &mut texts {
        if let Ok(inside) = path.strip_prefix(root) {
            *path = Path::new("/").join(inside);
        }
    }
    Ok(texts)
}

/// The drop-in of docker's unit, below the directory of units.
pub(crate) const PROXY_DROP_IN: &str = "docker.service.d/ramgate.conf";
/// The drop-in that gives the engine a certificate to trust.
pub(crate) const INSPECTION_DROP_IN: &str = "docker.service.d/ramgate-inspection.conf";
const TRUSTED: &str = "ramgate-inspection.pem";
/// Where dockerd has what it knows of each registry.
pub(crate) const CERTIFICATES: &str = "/etc/docker/certs.d";
pub(crate) const HOSTS_FILE: &str = "hosts.toml";
