//! `ramgate egress ca`: the authority of inspection, from its making to its end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use ramgate_egress::NewAuthority;
use ramgate_policy::Policy;

use crate::cli::{CommandError, Outcome, say};
use crate::inspection::AuthorityFiles;
use crate::settings::Settings;

/// What is done with the authority.
#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// Make it, for the registries of the policy and no others.
    Init,
    /// Print its certificate.
    Show,
    /// Make it anew: when the policy's registries have changed, when it ends, or when its key may be known.
    Rotate,
    /// Put its certificate among those that this host trusts. dockerd reads them when it starts.
    Install(Store),
    /// Take its certificate away from there.
    Remove(Store),
}

/// Where the host keeps what it trusts.
#[derive(Debug, Args)]
pub(super) struct Store {
    /// Another root directory, as of a container; nothing is run then to make a bundle of it.
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
}

/// A directory for certificates of one's own, and what makes the bundle that programs read.
struct Anchors {
    directory: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

// === impl Ca ===

impl Ca {
    pub(super) fn run(&self, settings: &Settings) -> Result<Outcome, CommandError> {
        let files = AuthorityFiles::below(&settings.state_dir);
        match self {
            Self::Init if files.exist() => {
                return Err(CommandError::Failed(anyhow::anyhow!(
                    "{}: there is one already; `rotate` makes it anew",
                    files.certificate.display()
                )));
            }
            Self::Init | Self::Rotate => make(settings, &files)?,
            Self::Show => {
                files.read().map_err(CommandError::Failed)?;
                let text = std::fs::read_to_string(&files.certificate)?;
                say(text.trim_end())?;
            }
            Self::Install(store) => {
                files.read().map_err(CommandError::Failed)?;
                let target = store
                    .install(&files.certificate)
                    .map_err(CommandError::Failed)?;
                say(format_args!(
                    "{}: dockerd trusts it when it is restarted",
                    target.display()
                ))?;
            }
            Self::Remove(store) => {
                let removed = store.remove().map_err(CommandError::Failed)?;
                for path in removed {
                    say(format_args!("{}: removed", path.display()))?;
                }
            }
        }
        Ok(Outcome::Done)
    }
}

fn make(settings: &Settings, files: &AuthorityFiles) -> Result<(), CommandError> {
    let path = &settings.policy_path;
    let text = std::fs::read_to_string(path)
        .with_context(|| path.display().to_string())
        .map_err(CommandError::Failed)?;
    let policy = Policy::parse(&text)
        .map_err(|findings| CommandError::Usage(crate::settings::listed(path, &findings)))?;
    let hosts = policy.registry_hosts().ok_or_else(|| {
        CommandError::Usage(format!(
            "{}: the authority is made for the policy's registries, and the policy has no list of them: add `registries`",
            path.display()
        ))
    })?;
    #[expect(
        clippy::disallowed_methods,
        reason = "this command is run by a person now"
    )]
    let now = SystemTime::now();
    let authority =
        NewAuthority::make(&hosts, now).map_err(|error| CommandError::Failed(error.into()))?;
    std::fs::create_dir_all(&settings.state_dir)?;
    files.write(&authority).map_err(CommandError::Failed)?;
    say(format_args!("{}:", files.certificate.display()))?;
    for host in hosts {
        say(format_args!("  good for {host} and below"))?;
    }
    say("next: `ramgate egress ca install`, then restart ramgate and the engine")
}

// === impl Store ===

impl Store {
    fn install(&self, certificate: &Path) -> anyhow::Result<PathBuf> {
        let Some(anchors) = ANCHORS
            .iter()
            .find(|anchors| self.at(anchors.directory).is_dir())
        else {
            bail!(
                "none of {} is there: add {} to what dockerd trusts by hand",
                ANCHORS.map(|anchors| anchors.directory).join(", "),
                certificate.display()
            );
        };
        let target = self.at(anchors.directory).join(FILE);
        std::fs::copy(certificate, &target).with_context(|| target.display().to_string())?;
        self.bundle(anchors)?;
        Ok(target)
    }

    fn remove(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        for anchors in &ANCHORS {
            let target = self.at(anchors.directory).join(FILE);
            match std::fs::remove_file(&target) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).context(target.display().to_string()),
            }
            self.bundle(anchors)?;
            removed.push(target);
        }
        Ok(removed)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn bundle(&self, anchors: &Anchors) -> anyhow::Result<()> {
        if self.root != Path::new("/") {
            return Ok(());
        }
        let status = Command::new(anchors.program)
            .args(anchors.arguments)
            .status();
        let status = status.with_context(|| format!("running `{}`", anchors.program))?;
        if !status.success() {
            bail!("`{}` failed: {status}", anchors.program);
        }
        Ok(())
    }
}

/// Debian and its kin, Red Hat and its kin, Arch, SUSE.
const ANCHORS: [Anchors; 4] = [
    Anchors {
        directory: "/usr/local/share/ca-certificates",
        program: "update-ca-certificates",
        arguments: &[],
    },
    Anchors {
        directory: "/etc/pki/ca-trust/source/anchors",
        program: "update-ca-trust",
        arguments: &["extract"],
    },
    Anchors {
        directory: "/etc/ca-certificates/trust-source/anchors",
        program: "update-ca-trust",
        arguments: &["extract"],
    },
    Anchors {
        directory: "/etc/pki/trust/anchors",
        program: "update-ca-certificates",
        arguments: &[],
    },
];

/// Debian wants the ending.
const FILE: &str = "ramgate-inspection.crt";
