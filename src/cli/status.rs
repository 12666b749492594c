//! `ramgate status`: how it is, on one screen.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::audit::{line, printable};
use super::{CommandError, Outcome, SettingsArgument, say};
use crate::audit_reader::{self, Decision};
use crate::control::{self, Vitals};
use crate::engine_report::{Chain, EngineReport};
use crate::serve::control_path;
use crate::settings::Settings;

/// Show how ramgate and the engine are, on one screen.
///
/// The exit code is 0 if ramgate runs with the policy as it is in its file, the gates that the settings enable take connections,
/// and the engine answers and asks ramgate; else 1. Whether nothing gets past it, `ramgate doctor` says.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    settings: SettingsArgument,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Found {
    now: Timestamp,
    vitals: Result<Option<Vitals>, String>,
    gates: Vec<Gate>,
    engine: Result<EngineReport, String>,
    chain: Result<Chain, String>,
    mirror_bytes: Option<u64>,
    denials: Vec<Decision>,
}

/// A gate that the settings enable.
#[derive(Debug, Serialize)]
struct Gate {
    name: &'static str,
    address: String,
    listens: bool,
}

// === impl Status ===

impl Status {
    pub(super) fn run(&self) -> Result<Outcome, CommandError> {
        let settings = self.settings.load()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let found = runtime.block_on(Found::find(&settings));
        if self.json {
            say(found.json(&settings))?;
        } else {
            found.show(&settings)?;
        }
        if found.is_well(&settings) {
            Ok(Outcome::Done)
        } else {
            Ok(Outcome::Failed)
        }
    }
}

// === impl Found ===

impl Found {
    async fn find(settings: &Settings) -> Self {
        let told = |error: anyhow::Error| format!("{error:#}");
        let socket = &settings.engine_socket;
        let mirror = settings.mirror.as_ref();
        let control = control_path(settings);
        // Together: an engine whose plugin is gone answers each question after some fifteen seconds.
        let (vitals, engine, chain) = tokio::join!(
            control::ask_vitals(&control),
            EngineReport::ask(socket),
            Chain::probe(socket)
        );
        Self {
            now: Timestamp::now(),
            vitals: vitals.map_err(told),
            gates: gates(settings).await,
            engine: engine.map_err(told),
            chain: chain.map_err(told),
            mirror_bytes: mirror.map(|mirror| size(mirror.storage.directory())),
            // A log that is not there has none.
            denials: audit_reader::last(&settings.audit.path, DENIALS, Decision::is_denial)
                .unwrap_or_default(),
        }
    }

    fn is_well(&self, settings: &Settings) -> bool {
        let runs = matches!(&self.vitals, Ok(Some(vitals)) if vitals.policy.error.is_none());
        let asked = settings.plugin_socket.is_none()
            || matches!(&self.chain, Ok(chain) if chain.is_asked());
        runs && asked && self.engine.is_ok() && self.gates.iter().all(|gate| gate.listens)
    }

    fn json(&self, settings: &Settings) -> Value {
        let engine = match &self.engine {
            Ok(engine) => json!({
                "socket": settings.engine_socket,
                "version": engine.version,
                "api-version": engine.api_version,
            }),
            Err(error) => json!({ "socket": settings.engine_socket, "error": error }),
        };
        let denials: Vec<Value> = self
            .denials
            .iter()
            .cloned()
            .map(Decision::into_json)
            .collect();
        let (vitals, error) = match &self.vitals {
            Ok(vitals) => (vitals.as_ref(), None),
            Err(error) => (None, Some(error)),
        };
        json!({
            "well": self.is_well(settings),
            "running": vitals,
            "error": error,
            "policy": settings.policy_path,
            "gates": self.gates,
            "engine": engine,
            "plugin": match &self.chain {
                Ok(Chain::Asked { plugin, id }) => json!({ "asked": true, "name": plugin, "id": id }),
                Ok(Chain::NotAsked) => json!({ "asked": false }),
                Ok(Chain::Broken(error)) | Err(error) => json!({ "asked": false, "error": error }),
            },
            "mirror-bytes": self.mirror_bytes,
            "denials": denials,
        })
    }

    fn show(&self, settings: &Settings) -> Result<(), CommandError> {
        self.show_ramgate(settings)?;
        for gate in &self.gates {
            let word = if gate.listens {
                "listens at"
            } else {
                "DOES NOT LISTEN at"
            };
            say(format_args!("{:<9} {word} {}", gate.name, gate.address))?;
        }
        if let Some(bytes) = self.mirror_bytes {
            say(format_args!("cache     {}", human(bytes)))?;
        }
        self.show_engine(settings)?;
        say("\nlast denials")?;
        if self.denials.is_empty() {
            say("  none")?;
        }
        for denial in &self.denials {
            say(format_args!(
                "  {}",
                line(denial, io::stdout().is_terminal())
            ))?;
        }
        Ok(())
    }

    fn show_ramgate(&self, settings: &Settings) -> Result<(), CommandError> {
        let path = settings.policy_path.display();
        let vitals = match &self.vitals {
            Ok(Some(vitals)) => vitals,
            Ok(None) => {
                say(
                    "ramgate   DOES NOT RUN, or you may not ask it: `systemctl status ramgate`, as root",
                )?;
                return say(format_args!("policy    {path}"));
            }
            Err(error) => {
                say(format_args!("ramgate   CANNOT BE ASKED: {error}"))?;
                return say(format_args!("policy    {path}"));
            }
        };
        let (version, pid) = (&vitals.version, vitals.pid);
        let since = age(vitals.since, self.now);
        say(format_args!(
            "ramgate   {version}, for {since}, process {pid}"
        ))?;
        let mode = if vitals.enforces {
            "enforce"
        } else {
            "AUDIT: what would be denied passes"
        };
        let read = age(vitals.policy.since, self.now);
        say(format_args!(
            "policy    {path}, mode {mode}, read {read} ago"
        ))?;
        match &vitals.policy.error {
            Some(error) => say(format_args!(
                "          NOT TAKEN as it is now: {}",
                printable(error)
            )),
            None => Ok(()),
        }
    }

    fn show_engine(&self, settings: &Settings) -> Result<(), CommandError> {
        match &self.engine {
            Ok(engine) => say(format_args!(
                "engine    Docker {}, API {}, at {}",
                engine.version,
                engine.api_version,
                settings.engine_socket.display()
            ))?,
            Err(error) => say(format_args!("engine    DOES NOT ANSWER: {error}"))?,
        }
        match &self.chain {
            Ok(Chain::Asked { plugin, .. }) => say(format_args!(
                "          asks ramgate, as plugin `{plugin}`: a request that must be denied was"
            )),
            Ok(Chain::NotAsked) => {
                say("          DOES NOT ASK ramgate: set `authorization-plugins` in daemon.json")
            }
            Ok(Chain::Broken(error)) => say(format_args!("          CANNOT ASK ramgate: {error}")),
            // Said above.
            Err(_) => Ok(()),
        }
    }
}

async fn gates(settings: &Settings) -> Vec<Gate> {
    let mut gates = Vec::new();
    if let Some(socket) = &settings.plugin_socket {
        gates.push(Gate {
            name: "plugin",
            address: socket.display().to_string(),
            listens: tokio::net::UnixStream::connect(socket).await.is_ok(),
        });
    }
    let mirror = settings.mirror.as_ref().map(|mirror| mirror.listen);
    for (name, address) in [("mirror", mirror), ("egress", settings.egress_listen)] {
        if let Some(address) = address {
            gates.push(Gate {
                name,
                address: address.to_string(),
                listens: listens(address).await,
            });
        }
    }
    gates
}

async fn listens(address: SocketAddr) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// The bytes of all files below a directory; what cannot be read counts for nothing.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn human(bytes: u64) -> String {
    let units = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    for (unit, name) in units {
        if bytes >= unit {
            let tenths = bytes.saturating_mul(10) / unit;
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// How long ago, in its largest unit.
fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// As many as fit below the rest on a small terminal.
const DENIALS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_for_people() {
        assert_eq!(human(0), "0 B");
        assert_eq!(human(1_536), "1.5 KiB");
        assert_eq!(human(5 << 30), "5.0 GiB");
        let then = Timestamp::UNIX_EPOCH;
        let now = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(age(then, now(59)), "59 s");
        assert_eq!(age(then, now(7_200)), "2 h");
        assert_eq!(age(now(5), then), "0 s", "a clock that was set back");
    }
}
