//! What is gathered before anything is concluded: from the engine, from a running ramgate, from the files.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ramgate_policy::{LocalDecision, LocalImage, Subject};
use ramgate_provenance::Way;
use serde::Deserialize;

use super::coverage::{Local, Terms};
use super::hosts::Hosts;
use super::inspection::Inspection;
use super::policy::{PolicyFiles, Rule};
use crate::control::{self, CanaryFlight, Vitals};
use crate::engine_report::{Chain, EngineReport};
use crate::ledger::Ask;
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
    pub(crate) policy: Result<PolicyFiles, String>,
    pub(crate) inspection: Option<Inspection>,
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
            policy: PolicyFiles::read(&settings.policy_path),
            inspection: Inspection::find(&settings),
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
            Ok(PolicyFiles { policy, .. }) => {
                match policy.evaluate_local(kind, &Subject::Anonymous) {
                    LocalDecision::Allow(grant) if grant.suppressed().is_some() => Local::Deny,
                    LocalDecision::Allow(_) => Local::Allow,
                    LocalDecision::Gated(..) => Local::Gated,
                    LocalDecision::Deny(_) => Local::Deny,
                }
            }
            Err(_) => Local::Allow,
        };
        let policy = self.policy.as_ref().ok();
        let rules = policy.and_then(PolicyFiles::registries);
        let repositories = |of_hub: bool| {
            let mut rules = rules.iter().flatten();
            rules.any(|rule| rule.has_repositories && (rule.host == "docker.io") == of_hub)
        };
        let egress = self.uses_egress() && flight.is_some_and(|flight| flight.seen);
        let hub = policy.is_some_and(PolicyFiles::has_hub);
        // What goes past the mirror has to be nothing that it alone could judge.
        let matters = |host: &str| {
            let mut rules = rules.iter().flatten();
            !egress
                || host == "docker.io"
                || rules.any(|rule| rule.has_repositories && rule.covers(host))
        };
        let direct = |rule: &Rule| rule.has_repositories && rule.via.as_deref() == Some("direct");
        Terms {
            audit: policy.is_some_and(|files| files.policy.is_audit()),
            registries: rules.is_some(),
            hub_repositories: repositories(true),
            other_repositories: repositories(false),
            hub,
            build: local(LocalImage::Build),
            load: local(LocalImage::Load),
            import: local(LocalImage::Import),
            plugin: self.chain.as_ref().is_ok_and(Chain::is_asked),
            grpc: engine.is_none_or(EngineReport::speaks_grpc),
            containerd: engine.is_some_and(|engine| engine.info.has_containerd_store()),
            mirror: self.uses_mirror(),
            egress,
            inspect: !rules.iter().flatten().any(direct)
                && self
                    .inspection
                    .as_ref()
                    .is_some_and(|inspection| inspection.works(policy)),
            hosts: self.hosts.lead_to_mirror(matters)
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
            .zip(self.settings.egress.as_ref().map(|egress| egress.listen))
            .is_some_and(|(engine, address)| {
                let is_ours = |url: &str| {
                    let authority = url.strip_prefix("http://").unwrap_or(url);
                    authority.trim_end_matches('/') == address.to_string()
                };
                is_ours(&engine.info.http_proxy) && is_ours(&engine.info.https_proxy)
            })
    }
}

async fn list<T: serde::de::DeserializeOwned>(
    socket: &std::path::Path,
    path: &str,
) -> anyhow::Result<Vec<T>> {
    let (_, body) = unix::get(socket, path).await?;
    Ok(serde_json::from_slice(&body)?)
}
