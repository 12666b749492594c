//! Where something is installed, or taken out, and how what runs there is started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::CommandError;
use crate::install::{Control, Host, Layout, below, pid_file};
use crate::settings::Settings;

/// Where, and how what runs there is started; `uninstall` takes the same.
#[derive(Debug, Args)]
pub(in crate::cli) struct Place {
    /// Prepare the system below this directory, of which nothing runs.
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
    /// Your own engine in rootless mode, and not the system's: run it as its user. Level `plugin`.
    #[arg(long, conflicts_with_all = ["root", "start_command", "stop_command", "restart_command"])]
    rootless: bool,
    /// Where there is no systemd: what starts `ramgate serve`, or restarts it.
    #[arg(long, value_name = "COMMAND")]
    pub(super) start_command: Option<String>,
    /// Where there is no systemd: what stops it.
    #[arg(long, value_name = "COMMAND")]
    stop_command: Option<String>,
    /// Where there is no systemd: what restarts the engine.
    #[arg(long, value_name = "COMMAND")]
    pub(super) restart_command: Option<String>,
    /// How long the engine may take to come up before everything is put back.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,
}

// === impl Place ===

impl Place {
    /// The host as it is.
    pub(in crate::cli) fn host(&self) -> Result<Host, CommandError> {
        let root = std::fs::canonicalize(&self.root)
            .map_err(|error| CommandError::Usage(format!("{}: {error}", self.root.display())))?;
        let layout = if self.rootless {
            Layout::of_user().map_err(|error| CommandError::Usage(format!("{error:#}")))?
        } else {
            Layout::system()
        };
        let settings = below(&root, &layout.settings);
        let settings = if settings.exists() {
            Settings::load(Some(&settings))?
        } else {
            let text = layout.user.as_ref().map_or("{}", |user| &user.settings);
            Settings::parse(text).map_err(|error| CommandError::Usage(error.to_string()))?
        };
        Host::find(&root, layout, settings).map_err(CommandError::Failed)
    }

    /// How what runs there is started and stopped; `None` where nothing runs.
    pub(in crate::cli) fn control(&self, host: &Host) -> Option<Control> {
        host.is_live().then(|| Control {
            systemd: host.systemd,
            user: host.layout.user.is_some(),
            start_command: self.start_command.clone(),
            stop_command: self.stop_command.clone(),
            restart_command: self.restart_command.clone(),
            engine_socket: host.settings.engine_socket.clone(),
            plugin_socket: host.settings.plugin_socket.clone().unwrap_or_default(),
            engine_pid_file: pid_file(host.docker.unit.as_ref(), &host.layout),
            patience: self.patience(),
        })
    }

    pub(super) const fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// Refuses whoever cannot do it, with a word on what is meant for them.
    pub(in crate::cli) fn as_its_owner(&self) -> Result<(), CommandError> {
        use std::os::unix::fs::MetadataExt as _;
        let user = std::fs::metadata("/proc/self")?.uid();
        let refusal = match (user, self.rootless) {
            (0, false) | (1.., true) => return Ok(()),
            (0, true) => {
                "an engine in rootless mode is its user's own: run this as that user, without `sudo`; for the system's engine leave \
                 `--rootless` out"
            }
            (1.., false) => {
                let rootless = Path::new("/run/user").join(user.to_string());
                if rootless.join("docker.sock").exists() {
                    "this has to be run as root; for your own engine in rootless mode there is `--rootless`"
                } else {
                    "this has to be run as root"
                }
            }
        };
        Err(CommandError::Usage(refusal.to_owned()))
    }
}
