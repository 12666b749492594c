//! What `ramgate status` finds.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::gate::{Gate, gates};
use crate::audit_reader::{self, Decision};
use crate::control::{self, Vitals};
use crate::engine_report::{Chain, EngineReport};
use crate::nft::Standing;
use crate::serve::control_path;
use crate::settings::Settings;

/// What was found.
pub(super) struct Found {
    pub(super) now: Timestamp,
    pub(super) vitals: Result<Option<Vitals>, String>,
    pub(super) gates: Vec<Gate>,
    pub(super) engine: Result<EngineReport, String>,
    pub(super) chain: Result<Chain, String>,
    /// How it stands with the firewall's rules, where the settings have any.
    pub(super) rules: Option<Standing>,
    pub(super) mirror_bytes: Option<u64>,
    pub(super) denials: Vec<Decision>,
}

// === impl Found ===

impl Found {
    pub(super) async fn find(settings: &Settings) -> Self {
        let told = |error: anyhow::Error| format!("{error:#}");
        let socket = &settings.engine_socket;
        let mirror = settings.mirror.as_ref();
        let egress = settings.egress.as_ref();
        let transparent = egress.and_then(|egress| egress.transparent.as_ref());
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
            rules: transparent.map(|transparent| Standing::of(transparent.listen)),
            mirror_bytes: mirror.map(|mirror| size(mirror.storage.directory())),
            // A log that is not there has none.
            denials: audit_reader::last(&settings.audit.path, DENIALS, Decision::is_denial)
                .unwrap_or_default(),
        }
    }

    pub(super) fn is_well(&self, settings: &Settings) -> bool {
        let runs = matches!(&self.vitals, Ok(Some(vitals)) if vitals.policy.error.is_none());
        let asked = settings.plugin_socket.is_none()
            || matches!(&self.chain, Ok(chain) if chain.is_asked());
        let captured = matches!(self.rules, None | Some(Standing::InForce));
        runs && asked
            && captured
            && self.engine.is_ok()
            && self.gates.iter().all(|gate| gate.listens)
    }

    pub(super) fn json(&self, settings: &Settings) -> Value {
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
            "rules": self.rules.as_ref().map(|rules| match rules {
                Standing::InForce => json!({ "in-force": true }),
                Standing::Elsewhere => json!({ "in-force": false, "error": "they lead elsewhere" }),
                Standing::Absent => json!({ "in-force": false }),
                Standing::Unknown(error) => json!({ "in-force": null, "error": error }),
            }),
            "mirror-bytes": self.mirror_bytes,
            "denials": denials,
        })
    }
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

/// As many as fit below the rest on a small terminal.
const DENIALS: usize = 5;
