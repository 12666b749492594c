//! Runs the gates: listeners first, then the gates behind them, then the word that all is ready.
//!
//! The gates never see one another. What they share is the policy's snapshot, which this module hands to each.

mod listeners;
mod parts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use ramgate_catalog::Catalog;
use ramgate_egress::Egress;
use ramgate_mirror::{Inspector, Mirror};
use ramgate_plugin::{Authorizer, Engine, Gates, Identity, Registrar, Watch};
use ramgate_policy::Steering;
use ramgate_provenance::{Canaries, Delegations, Ledger};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::catalog;
use crate::control::{self, Office};
use crate::inspection;
use crate::ledger::Desk;
use crate::live_policy::LivePolicy;
use crate::metrics::{self, Readiness};
use crate::settings::{self, Settings};
use crate::signals::Signals;
use crate::telemetry::otlp::Exporter;
use crate::watchdog;
use listeners::Listeners;
use parts::{captured_address, site_proxy, upstream_proxy};
pub(crate) use parts::{mirror_config, mirror_names};

/// What the gates are made with.
struct Shared<'a> {
    settings: &'a Settings,
    policy: &'a LivePolicy,
    ledger: Arc<Ledger>,
    catalog: &'a Catalog,
    readiness: &'a Readiness,
    shutdown: &'a CancellationToken,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn serve(
    settings: Settings,
    policy: LivePolicy,
    exporter: Option<Exporter>,
) -> anyhow::Result<()> {
    let Signals { hangup, stop } = Signals::new()?;
    // TLS needs a provider for the process; ring is the one that is built in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ledger = Arc::new(open_ledger(&ledger_path(&settings))?);
    let catalog = catalog::open(&settings)?;
    let listeners = Listeners::bind(&settings).await?;
    let shutdown = CancellationToken::new();
    let watching = CancellationToken::new();
    let readiness = Readiness::starting(listeners.gates()?);
    let shared = Shared {
        settings: &settings,
        policy: &policy,
        ledger,
        catalog: &catalog,
        readiness: &readiness,
        shutdown: &shutdown,
    };
    let mut registry = metrics::registry(&policy, &shared.ledger);
    let telling = CancellationToken::new();
    let teller = match exporter {
        Some(exporter) => {
            exporter.metrics().register(&mut registry);
            Some(exporter.start(telling.clone())?)
        }
        None => None,
    };
    let (mut gates, mirror) = start(listeners, &shared, registry, &watching)?;
    readiness.started();
    announce(&settings, &policy);
    let follower = tokio::spawn(policy.follow(hangup, shutdown.clone()));
    let watchdog = watchdog::run(settings.plugin_socket.clone(), shutdown.clone());
    tokio::spawn(watchdog);
    // Outside systemd there is nobody to notify.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!("ready");

    let ended = tokio::select! {
        name = stop.wait() => {
            tracing::info!(signal = name, "stopping");
            Ok(())
        }
        // A gate that ends by itself is a hole: all of them stop, and the engine fails closed.
        Some(gate) = gates.join_next() => Err(ended_early(gate)),
    };
    readiness.stopping();
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    watching.cancel();
    tokio::time::sleep(LAST_WORD).await;
    shutdown.cancel();
    if !drain(&mut gates, mirror.as_ref()).await {
        tracing::warn!(grace = ?GRACE, blobs = ?BLOB_GRACE, "connections still open are cut");
    }
    follower.abort();
    telling.cancel();
    if let Some(teller) = teller {
        // What the collector does not take by then is in the audit log.
        let _ = tokio::time::timeout(GRACE, teller).await;
    }
    ended
}

/// Starts the gates behind their listeners; the watch, until `watching` ends; and what administrators and monitoring ask.
fn start(
    listeners: Listeners,
    shared: &Shared<'_>,
    mut registry: Registry,
    watching: &CancellationToken,
) -> anyhow::Result<(JoinSet<std::io::Result<()>>, Option<Mirror>)> {
    let Shared {
        settings,
        policy,
        catalog,
        readiness,
        shutdown,
        ..
    } = *shared;
    let mut gates = JoinSet::new();
    if let Some(metrics) = catalog.metrics() {
        metrics.register(&mut registry);
    }
    let canaries = Canaries::default();
    let delegations = Delegations::default();
    let registrar = registrar(settings, Arc::clone(&shared.ledger), canaries.clone())?;
    let office = Office::new(
        Desk::new(registrar.clone()),
        catalog::Desk::new(catalog.clone()),
        registrar.gates().clone(),
        policy,
    );
    if let Some(listener) = listeners.plugin {
        let identity = Identity::new(registrar.clone()).with_catalog(catalog.clone());
        let authorizer = Authorizer::new(policy.current(), registrar.clone(), identity.clone())
            .with_catalog(catalog.clone())
            .with_delegations(delegations.clone());
        authorizer.metrics().register(&mut registry);
        let plugin = ramgate_plugin::serve(listener, authorizer, shutdown.clone());
        gates.spawn(plugin);
        let watch = Watch::new(registrar, identity, policy.current());
        tokio::spawn(watch.run(watching.clone()));
    }
    let mut serving = None;
    let mut inspection = None;
    if let Some((listener, part)) = listeners.mirror.zip(settings.mirror.as_ref()) {
        let mirror = mirror(shared, part, canaries.clone(), delegations)?;
        mirror.metrics().register(&mut registry);
        serving = Some(mirror.clone());
        if settings
            .egress
            .as_ref()
            .is_some_and(|egress| egress.inspect)
        {
            let inspector = Inspector::new(mirror.clone(), policy.current());
            inspection = Some(inspection::set_up(&settings.state_dir, inspector)?);
        }
        gates.spawn(ramgate_mirror::serve(listener, mirror, shutdown.clone()));
    }
    let control = control::serve(listeners.control, office, serving.clone(), shutdown.clone());
    gates.spawn(control);
    if let Some((listener, part)) = listeners.egress.zip(settings.egress.as_ref()) {
        let egress = egress(shared, part, canaries, inspection)?;
        egress.metrics().register(&mut registry);
        if let Some(listener) = listeners.captured {
            let captured =
                ramgate_egress::serve_captured(listener, egress.clone(), shutdown.clone());
            gates.spawn(captured);
        }
        gates.spawn(ramgate_egress::serve(listener, egress, shutdown.clone()));
    }
    if let Some(listener) = listeners.metrics {
        // Last: by now each gate has added what it counts.
        let monitor = metrics::serve(listener, registry, readiness.clone(), shutdown.clone());
        gates.spawn(monitor);
    }
    Ok((gates, serving))
}

fn mirror(
    shared: &Shared<'_>,
    part: &settings::Mirror,
    canaries: Canaries,
    delegations: Delegations,
) -> anyhow::Result<Mirror> {
    let config = ramgate_mirror::Config {
        delegations,
        site_proxy: site_proxy(shared.settings)?,
        ..mirror_config(part, canaries)?
    };
    let mirror = Mirror::new(config, shared.policy.current(), Arc::clone(&shared.ledger))
        .context("mirror")?;
    Ok(mirror.with_catalog(shared.catalog.clone()))
}

fn egress(
    shared: &Shared<'_>,
    part: &settings::Egress,
    canaries: Canaries,
    inspection: Option<ramgate_egress::Inspection>,
) -> anyhow::Result<Egress> {
    let steering = Steering {
        docker_hub_by_mirror: shared.settings.mirror.is_some(),
        inspect: part.inspect,
    };
    let config = ramgate_egress::Config {
        canaries,
        upstream_proxy: upstream_proxy(part)?,
        inspection,
        ..ramgate_egress::Config::new(steering)
    };
    Ok(Egress::new(shared.policy.current(), config))
}

/// Lets open connections end: all for a while, and then the blobs that the mirror is sending for a while longer, because a client
/// that is cut begins anew. `false` if some are cut.
async fn drain(gates: &mut JoinSet<std::io::Result<()>>, mirror: Option<&Mirror>) -> bool {
    let all = async { while gates.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_ok() {
        return true;
    }
    let Some(mirror) = mirror else {
        return false;
    };
    let sent = async {
        while mirror.metrics().in_flight() > 0 {
            tokio::time::sleep(LAST_WORD).await;
        }
    };
    // What is still open then is other gates'.
    let _ = tokio::time::timeout(BLOB_GRACE, sent).await;
    gates.is_empty()
}

/// Keeps `ledger` for the engine that the settings name; its gates see `canaries`.
pub(crate) fn registrar(
    settings: &Settings,
    ledger: Arc<Ledger>,
    canaries: Canaries,
) -> anyhow::Result<Registrar> {
    let engine = Engine::new(&settings.engine_socket);
    let mirror = settings.mirror.as_ref().map(|mirror| mirror.listen);
    let gates = Gates::new(
        engine.clone(),
        mirror,
        settings.egress.as_ref().map(|egress| egress.listen),
        HOSTS_DIRECTORY.into(),
        canaries,
    );
    Ok(Registrar::new(engine, gates, ledger)?)
}

/// Where the ledger is.
pub(crate) fn ledger_path(settings: &Settings) -> PathBuf {
    settings.state_dir.join("ledger.redb")
}

/// Where a running ramgate takes the commands of administrators.
pub(crate) fn control_path(settings: &Settings) -> PathBuf {
    settings.state_dir.join("control.sock")
}

fn open_ledger(path: &Path) -> anyhow::Result<Ledger> {
    let opened = Ledger::open(path).with_context(|| format!("state-dir: {}", path.display()))?;
    if let Some(aside) = opened.damaged {
        tracing::error!(
            ledger = %path.display(), damaged = %aside.display(),
            "the ledger was damaged and is put aside; what is known of images is learned anew"
        );
    }
    Ok(opened.ledger)
}

fn announce(settings: &Settings, policy: &LivePolicy) {
    if let Some(socket) = &settings.plugin_socket {
        tracing::info!(socket = %socket.display(), "engine gate listens");
    }
    if let Some(mirror) = &settings.mirror {
        tracing::info!(address = %mirror.listen, storage = %mirror.storage, "registry gate listens");
    }
    if let Some(egress) = &settings.egress {
        tracing::info!(address = %egress.listen, "network gate listens");
    }
    if let Some(address) = captured_address(settings) {
        tracing::info!(%address, "network gate takes what the firewall sends it");
    }
    if let Some(address) = settings.metrics_listen {
        tracing::info!(%address, "metrics are served");
    }
    if policy.current().load().is_audit() {
        tracing::warn!("the policy's mode is audit: denials are logged and not enforced");
    }
}

fn ended_early(gate: Result<std::io::Result<()>, tokio::task::JoinError>) -> anyhow::Error {
    match gate {
        Ok(Ok(())) => anyhow::anyhow!("a gate ended by itself"),
        Ok(Err(error)) => anyhow::Error::new(error).context("a gate failed"),
        Err(error) => anyhow::Error::new(error).context("a gate failed"),
    }
}

/// Where dockerd since 28.0 reads where to fetch from instead (moby `daemon/hosts.go`).
pub(crate) const HOSTS_DIRECTORY: &str = "/etc/docker/certs.d";
/// How long the engine gate stays after the watch: the engine asks it once more when the watch's request ends, and an engine that
/// is being stopped waits 5 s for an answer.
const LAST_WORD: Duration = Duration::from_millis(100);
/// How long open connections may go on; systemd's own patience is 90 s.
const GRACE: Duration = Duration::from_secs(5);
/// How much longer a blob may take: a gigabyte at 30 MB/s.
const BLOB_GRACE: Duration = Duration::from_secs(35);
