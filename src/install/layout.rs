//! Where things lie: those of the system's engine, or those of a user's own, in rootless mode.

use std::env;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::unit::{self, UNITS, USER_UNITS, Unit};

/// Where things lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) settings: PathBuf,
    /// The program, unless a package has put it elsewhere.
    pub(crate) binary: PathBuf,
    /// Units by hand.
    pub(crate) units: PathBuf,
    /// Units by packages, the first that counts last.
    pub(crate) packaged: Vec<PathBuf>,
    /// `daemon.json`, unless the engine is told otherwise.
    pub(crate) daemon_json: PathBuf,
    /// Where dockerd writes down its process, unless it is told otherwise.
    pub(crate) pid_file: PathBuf,
    /// Where the engine is to find the plugin.
    pub(crate) plugin_socket: PathBuf,
    /// `None` for the system's engine.
    pub(crate) user: Option<UserLayout>,
}

/// What a user's engine has beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserLayout {
    /// Where the user's systemd is asked.
    pub(crate) manager: PathBuf,
    /// The file that tells the engine where the plugin is: it looks into no directory of sockets that a user may write.
    pub(crate) spec: PathBuf,
    /// The settings that have all of it in the user's own directories, and no mirror and no proxy.
    pub(crate) settings: String,
}

// === impl Layout ===

impl Layout {
    /// That of the system's engine.
    pub(crate) fn system() -> Self {
        Self {
            settings: crate::settings::DEFAULT_PATH.into(),
            binary: BINARY.into(),
            units: unit::DIRECTORY.into(),
            packaged: unit::PACKAGED.map(PathBuf::from).to_vec(),
            daemon_json: "/etc/docker/daemon.json".into(),
            pid_file: "/run/docker.pid".into(),
            plugin_socket: "/run/docker/plugins/ramgate.sock".into(),
            user: None,
        }
    }

    /// That of the engine of the user who asks, as dockerd and systemd find it by the environment.
    ///
    /// # Errors
    /// When the environment is not that of a login.
    pub(crate) fn of_user() -> anyhow::Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let home = PathBuf::from(set("HOME").context("HOME is not set")?);
        let runtime = set("XDG_RUNTIME_DIR").map(PathBuf::from).context(
            "XDG_RUNTIME_DIR is not set, by which the engine and systemd of a user are found: log in as that user, as with ssh or \
             `machinectl shell`, and not with `su` or `sudo`",
        )?;
        let config = set("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
        let state = set("XDG_STATE_HOME").map_or_else(|| home.join(".local/state"), PathBuf::from);
        Ok(Self::below(&home, &config, &state, &runtime))
    }

    fn below(
        home: &std::path::Path,
        config: &std::path::Path,
        state: &std::path::Path,
        runtime: &std::path::Path,
    ) -> Self {
        let plugin_socket = runtime.join("ramgate/ramgate.sock");
        let state = state.join("ramgate");
        let settings = json!({
            "policy": { "path": config.join("ramgate/policy.json") },
            "state-dir": state,
            "engine": { "socket": runtime.join("docker.sock") },
            "plugin": { "socket": plugin_socket },
            "mirror": { "enabled": false },
            "egress": { "enabled": false },
            "metrics": { "enabled": false },
            "audit": { "path": state.join("audit.jsonl") },
        });
        Self {
            settings: config.join("ramgate/settings.json"),
            binary: home.join(".local/bin/ramgate"),
            units: config.join("systemd/user"),
            packaged: unit::PACKAGED_FOR_USERS.map(PathBuf::from).to_vec(),
            daemon_json: config.join("docker/daemon.json"),
            pid_file: runtime.join("docker.pid"),
            plugin_socket,
            user: Some(UserLayout {
                manager: runtime.join("systemd/private"),
                // Releases up to 28 never read ~/.config/docker/plugins, which Docker's documentation names.
                spec: home.join(".local/lib/docker/plugins/ramgate.spec"),
                settings: format!("{settings:#}\n"),
            }),
        }
    }

    /// The units that run the gates.
    pub(crate) const fn gate_units(&self) -> [Unit; 2] {
        match self.user {
            None => UNITS,
            Some(_) => USER_UNITS,
        }
    }

    /// Where units are found; of two of one name that of the first counts (systemd.unit(5)).
    pub(crate) fn unit_directories(&self) -> Vec<PathBuf> {
        let between = match self.user {
            None => "/run/systemd/system",
            Some(_) => "/etc/systemd/user",
        };
        let mut directories = vec![self.units.clone(), between.into()];
        directories.extend(self.packaged.iter().cloned());
        directories
    }
}

const BINARY: &str = "/usr/local/bin/ramgate";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_users_settings_name_the_users_own_directories_and_run_the_plugin_alone() {
        let layout = Layout::below(
            Path::new("/home/me"),
            Path::new("/home/me/.config"),
            Path::new("/home/me/.local/state"),
            Path::new("/run/user/1000"),
        );
        let settings = Settings::parse(&layout.user.unwrap().settings).unwrap();
        assert!(settings.mirror.is_none() && settings.egress.is_none());
        assert_eq!(settings.plugin_socket, Some(layout.plugin_socket));
        assert!(settings.policy_path.starts_with("/home/me/.config"));
        for path in [&settings.state_dir, &settings.audit.path] {
            assert!(path.starts_with("/home/me/.local/state/ramgate"));
        }
    }
}
