//! What is gathered before anything is concluded: from the engine, from a running ramgate, from the files.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ramgate_policy::{LocalDecision, LocalImage, Policy, Subject};
use ramgate_provenance::Way;
use serde::Deserialize;
use serde_json::Value;

use super::coverage::{Local, Terms};
use super::hosts::Hosts;
use crate::control::{self, CanaryFlight, Vitals};
use crate::engine_report::{Chain, EngineReport};
use crate::ledger::Ask;
use crate::live_policy;
use crate::serve::control_path;
use crate::settings::Settings;
use crate::unix;

/// What is known of engine, ramgate and files.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) settings: Settings,
    pub(crate) now: Timestamp,
    pub(crate) engine: Result<EngineReport, String>,
    pub(crate) chain: Result<Chain, String>,
    pub(crate) vitals: Result<Option<Vitals>, String>,
    pub(crate) flight: Result<Option<CanaryFlight>, String>,
    pub(crate) policy: Result<(Policy, Value), String>,
    pub(crate) hosts: Hosts,
    pub(crate) images: Result<Vec<Listed>, String>,
    pub(crate) containers: Result<Vec<Container>, String>,
    /// IDs of images of which ramgate knows how they came.
    pub(crate) known: BTreeSet<String>,
}

/// An image of the engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) repo_tags: Option<Vec<String>>,
}

/// A container of the engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Container {
    pub(crate) names: Vec<String>,
    pub(crate) image: String,
}

// === impl Facts ===

impl Facts {
    /// Asks everybody.
    pub(crate) async fn gather(settings: Settings) -> Self {
        let told = |error: anyhow::Error| format!("{error:#}");
        let control = control_path(&settings);
        let socket = settings.engine_socket.clone();
        // Together: an engine whose plugin is gone answers each question after some fifteen seconds.
        let (known, engine, chain, vitals, flight, images, containers) = tokio::join!(
            control::ask(&control, &Ask::List),
            EngineReport::ask(&socket),
            Chain::probe(&socket),
            control::ask_vitals(&control),
            control::release_canary(&control),
            list(&socket, "/images/json"),
            list(&socket, "/containers/json?all=1")
        );
        let known = known.ok().flatten().into_iter().flatten();
        Self {
            now: Timestamp::now(),
            engine: engine.map_err(told),
            chain: chain.map_err(told),
            vitals: vitals.map_err(told),
            flight: flight.map_err(told),
            policy: policy(&settings),
            hosts: Hosts::read(settings.mirror.as_ref().map(|mirror| mirror.listen)),
            images: images.map_err(told),
            containers: containers.map_err(told),
            known: known
                .filter(|entry| entry.record.way != Way::Unknown)
                .map(|entry| entry.id.to_string())
                .collect(),
            settings,
        }
    }

    /// What the map of coverage is drawn from. What could not be found out counts as not there.
    pub(crate) fn terms(&self) -> Terms {
        let engine = self.engine.as_ref().ok();
        let flight = self.flight.as_ref().ok().and_then(Option::as_ref);
        let local = |kind| match &self.policy {
            Ok((policy, _)) => match policy.evaluate_local(kind, &Subject::Anonymous) {
                LocalDecision::Allow(grant) if grant.suppressed().is_some() => Local::Deny,
                LocalDecision::Allow(_) => Local::Allow,
                LocalDecision::Gated(..) => Local::Gated,
                LocalDecision::Deny(_) => Local::Deny,
            },
            Err(_) => Local::Allow,
        };
        let file = self.policy.as_ref().ok().map(|(_, file)| file);
        let rules = file.and_then(|file| file.get("registries")?.as_array());
        let repositories = |of_hub: bool| {
            rules.into_iter().flatten().any(|rule| {
                let is_hub = rule.get("host").and_then(Value::as_str) == Some("docker.io");
                rule.get("repositories").is_some() && is_hub == of_hub
            })
        };
        Terms {
            audit: self
                .policy
                .as_ref()
                .is_ok_and(|(policy, _)| policy.is_audit()),
            registries: rules.is_some(),
            hub_repositories: repositories(true),
            other_repositories: repositories(false),
            hub: file.is_some_and(|file| file.get("docker-hub").is_some()),
            build: local(LocalImage::Build),
            load: local(LocalImage::Load),
            import: local(LocalImage::Import),
            plugin: self.chain.as_ref().is_ok_and(Chain::is_asked),
            grpc: engine.is_none_or(EngineReport::speaks_grpc),
            containerd: engine.is_some_and(|engine| engine.info.has_containerd_store()),
            mirror: self.uses_mirror(),
            egress: self.uses_egress() && flight.is_some_and(|flight| flight.seen),
            hosts: self.hosts.lead_to_mirror()
                && engine.is_some_and(EngineReport::reads_hosts_toml),
            gates: flight.is_some_and(|flight| flight.missing.is_empty()),
            swarm: engine.is_some_and(|engine| engine.info.in_swarm()),
        }
    }

    /// Whether the engine says that it asks our mirror, and nobody beside it.
    pub(super) fn uses_mirror(&self) -> bool {
        let mirror = self.settings.mirror.as_ref();
        let url = mirror.map(|mirror| format!("http://{}", mirror.listen));
        let engine = self.engine.as_ref().ok();
        engine
            .zip(url)
            .is_some_and(|(engine, url)| engine.info.mirrors() == [url.as_str()])
    }

    /// Whether the engine says that it reaches the network through our gate.
    pub(super) fn uses_egress(&self) -> bool {
        let engine = self.engine.as_ref().ok();
        engine
            .zip(self.settings.egress_listen)
            .is_some_and(|(engine, address)| {
                let is_ours = |url: &str| {
                    let authority = url.strip_prefix("http://").unwrap_or(url);
                    authority.trim_end_matches('/') == address.to_string()
                };
                is_ours(&engine.info.http_proxy) && is_ours(&engine.info.https_proxy)
            })
    }
}

fn policy(settings: &Settings) -> Result<(Policy, Value), String> {
    let policy = live_policy::load(&settings.policy_path).map_err(|error| error.to_string())?;
    let text = std::fs::read(&settings.policy_path).map_err(|error| error.to_string())?;
    let file = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    Ok((policy, file))
}

async fn list<T: serde::de::DeserializeOwned>(
    socket: &std::path::Path,
    path: &str,
) -> anyhow::Result<Vec<T>> {
    let (_, body) = unix::get(socket, path).await?;
    Ok(serde_json::from_slice(&body)?)
}
