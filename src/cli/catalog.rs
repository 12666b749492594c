//! `ramgate catalog`: what is known of Docker Hub's namespaces.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use ramgate_catalog::{Bundle, Shown, SigningKey, Summary, TrustedKey};
use ramgate_policy::check_path;
use serde_json::json;

use super::{CommandError, Outcome, SettingsArgument, say};
use crate::catalog::{self, Answer, Ask, Desk};
use crate::serve::control_path;
use crate::settings::{Settings, read_text};

/// Show, renew and carry what is known of Docker Hub's namespaces.
///
/// Whether a namespace is a verified publisher's or a sponsored project's, Docker Hub is asked once and remembered. Where it
/// cannot be reached, a bundle that was exported elsewhere and signed says it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ramgate catalog show grafana\n  ramgate catalog keygen catalog.key\n  \
                  ramgate catalog export --key catalog.key --valid 30d hub.bundle\n  \
                  ramgate catalog import --trusted ed25519:… hub.bundle"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingsArgument,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a namespace is. Docker Hub is asked if nobody knows.
    Show {
        /// The first part of a repository's name on Docker Hub, as `grafana`.
        namespace: String,
    },
    /// Ask Docker Hub again: for these namespaces, or for all that it has been asked for.
    Refresh {
        /// Namespaces.
        namespaces: Vec<String>,
    },
    /// Write all that is known into a signed bundle.
    Export {
        /// The bundle.
        file: PathBuf,
        /// The key to sign it with, as `keygen` makes it.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// How long the bundle holds, as `30d`.
        #[arg(long, value_name = "DURATION", default_value = "30d")]
        valid: String,
    },
    /// Take in a bundle that a trusted key signed.
    Import {
        /// The bundle.
        file: PathBuf,
        /// A key to trust beside those in `catalog.trusted-keys`, as `ed25519:…`.
        #[arg(long = "trusted", value_name = "KEY")]
        trusted: Vec<TrustedKey>,
    },
    /// Make a key to sign bundles with, and print the one to trust.
    Keygen {
        /// Where to keep it. An existing file is never overwritten.
        file: PathBuf,
    },
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        match &self.command {
            Command::Keygen { file } => self.keygen(file)?,
            Command::Show { namespace } => {
                let namespace = named(namespace)?;
                let ask = Ask::Show { namespace };
                let Answer::Shown(shown) = self.ask(&ask)? else {
                    return Err(unexpected());
                };
                self.shown(&shown)?;
            }
            Command::Refresh { namespaces } => {
                let namespaces = namespaces.iter().map(|namespace| named(namespace));
                let namespaces = namespaces.collect::<Result<_, _>>()?;
                let answer = self.ask(&Ask::Refresh { namespaces })?;
                self.done(&answer)?;
                if let Answer::Done(Summary { left: 1.., .. }) = answer {
                    return Err(CommandError::Failed(anyhow::anyhow!(
                        "Docker Hub could not be asked for all of them; `ramgate catalog show NAMESPACE` says why"
                    )));
                }
            }
            Command::Export { file, key, valid } => self.export(file, key, valid)?,
            Command::Import { file, trusted } => self.import(file, trusted)?,
        }
        Ok(Outcome::Done)
    }

    fn export(&self, file: &Path, key: &Path, valid: &str) -> Result<(), CommandError> {
        let valid = crate::settings::duration(valid).map_err(CommandError::Usage)?;
        let text = read_text(key).map_err(|error| unreadable(key, &error))?;
        let key = text
            .parse::<SigningKey>()
            .map_err(|error| unreadable(key, &error))?;
        let ask = Ask::Export {
            valid: valid.as_secs(),
        };
        let Answer::Bundle(bundle) = self.ask(&ask)? else {
            return Err(unexpected());
        };
        let bytes = bundle
            .sign(&key)
            .map_err(|error| CommandError::Failed(error.into()))?;
        std::fs::write(file, bytes)
            .with_context(|| file.display().to_string())
            .map_err(CommandError::Failed)?;
        if self.json {
            say(json!({ "namespaces": bundle.len(), "expires": bundle.expires() }))
        } else {
            say(format_args!(
                "wrote {}: {} namespaces, until {}",
                file.display(),
                bundle.len(),
                date(bundle.expires())
            ))
        }
    }

    fn import(&self, file: &Path, trusted: &[TrustedKey]) -> Result<(), CommandError> {
        let settings = self.settings.load()?;
        let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
        let keys = [trusted, &settings.catalog.trusted_keys].concat();
        let bundle = Bundle::verify(&bytes, &keys)
            .with_context(|| file.display().to_string())
            .map_err(CommandError::Failed)?;
        self.done(&self.ask(&Ask::Import { bundle })?)
    }

    fn keygen(&self, file: &Path) -> Result<(), CommandError> {
        if file.symlink_metadata().is_ok() {
            return Err(unreadable(
                file,
                &"it is there already, and is left as it is",
            ));
        }
        let made = || -> anyhow::Result<SigningKey> {
            let key = SigningKey::generate()?;
            let mut open = std::fs::OpenOptions::new();
            let mut file = open.write(true).create_new(true).mode(0o600).open(file)?;
            file.write_all(key.to_pem().as_bytes())?;
            Ok(key)
        };
        let key = made()
            .with_context(|| file.display().to_string())
            .map_err(CommandError::Failed)?;
        if self.json {
            say(json!({ "trusted-key": key.public().to_string() }))
        } else {
            say(key.public())
        }
    }

    fn ask(&self, ask: &Ask) -> Result<Answer, CommandError> {
        let settings = self.settings.load()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime
            .block_on(answer(&settings, ask))
            .map_err(CommandError::Failed)
    }

    fn done(&self, answer: &Answer) -> Result<(), CommandError> {
        let Answer::Done(Summary { taken, left }) = answer else {
            return Err(unexpected());
        };
        if self.json {
            say(json!({ "taken": taken, "left": left }))
        } else {
            say(format_args!("taken: {taken}, left as they are: {left}"))
        }
    }

    fn shown(&self, shown: &Shown) -> Result<(), CommandError> {
        if self.json {
            let text = serde_json::to_string_pretty(shown)
                .map_err(|error| CommandError::Failed(error.into()))?;
            return say(text);
        }
        say(format_args!("namespace {}", shown.namespace))?;
        say(format_args!("category  {}", shown.category))?;
        match (&shown.entry, &shown.doubt) {
            (Some(entry), None) => say(format_args!(
                "source    {}, {}, until {}",
                entry.source.as_str(),
                date(entry.checked),
                date(entry.expires)
            )),
            (_, Some(doubt)) => say(format_args!("source    none: {doubt}")),
            (None, None) => say("source    its name"),
        }
    }
}

/// By a running ramgate, which has the catalogue open; without one, by the catalogue itself.
async fn answer(settings: &Settings, ask: &Ask) -> anyhow::Result<Answer> {
    if let Some(answer) = ask.put(&control_path(settings)).await? {
        return Ok(answer);
    }
    let catalog = match ask {
        Ask::Show { .. } => catalog::open_to_look(settings)?,
        Ask::Refresh { .. } | Ask::Export { .. } | Ask::Import { .. } => catalog::open(settings)?,
    };
    if matches!(ask, Ask::Refresh { .. }) && settings.catalog.url.is_none() {
        bail!("catalog.online is false: nobody is asked; import a bundle instead");
    }
    Ok(Desk::new(catalog).answer(ask).await?)
}

/// A namespace as Docker Hub has it.
fn named(namespace: &str) -> Result<String, CommandError> {
    let name = namespace.to_lowercase();
    if name.contains('/') || check_path(&name).is_err() {
        return Err(CommandError::Usage(format!(
            "`{namespace}` is no namespace of Docker Hub; give the first part of a repository's name, as `grafana`"
        )));
    }
    Ok(name)
}

fn unreadable(file: &Path, problem: &dyn std::fmt::Display) -> CommandError {
    CommandError::Usage(format!("{}: {problem}", file.display()))
}

fn unexpected() -> CommandError {
    CommandError::Failed(anyhow::anyhow!(
        "the running ramgate answers as another version does; restart it"
    ))
}

/// UTC, as RFC 3339 has it.
pub(super) fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}
