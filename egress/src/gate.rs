//! One request: read, judge, resolve, connect, carry.

mod learning;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use ramgate_policy::{Policy, TunnelDecision, TunnelPermit};
use ramgate_provenance::DecisionId;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::answer::{self, Answer};
use crate::audit::{self, Asked, Client};
use crate::buffers::Buffers;
use crate::closed_addresses::ClosedAddresses;
use crate::config::Config;
use crate::connect;
use crate::destination::{Destination, Unresolved};
use crate::forward;
use crate::guard::{Guard, RefusedOpening};
use crate::invalid_target::InvalidTarget;
use crate::metrics::Metrics;
use crate::own_connections::OwnConnections;
use crate::places::Places;
use crate::resolver::Resolver;
use crate::slot::Slot;
use crate::target::{Form, Target};
use crate::tasks::Tasks;
use crate::tunnel::{FarEnd, Tunnel};
use crate::upstream::UpstreamError;
use crate::upstream_proxy::UpstreamProxy;

/// The network gate. Clones share the policy and the limits.
#[derive(Clone)]
pub struct Egress(Arc<Shared>);

struct Shared {
    policy: Arc<ArcSwap<Policy>>,
    config: Config,
    slots: Arc<Semaphore>,
    resolver: Resolver,
    buffers: Buffers,
    metrics: Arc<Metrics>,
    closed: ClosedAddresses,
    own: OwnConnections,
    places: Places,
}

/// What the policy permits, and the room for it.
pub(crate) enum Admitted {
    /// A connection to the target.
    Connected(FarEnd, Guard, Slot),
    /// What goes there is to be read.
    Inspected(TunnelPermit, Slot),
}

// === impl Egress ===

impl Egress {
    /// A gate that judges by whatever policy stands in `policy` when a request arrives. A tunnel that was opened under an
    /// earlier one goes on until it closes.
    #[must_use]
    pub fn new(policy: Arc<ArcSwap<Policy>>, config: Config) -> Self {
        let slots = Arc::new(Semaphore::new(
            config.tunnels_max.min(Semaphore::MAX_PERMITS),
        ));
        Self(Arc::new(Shared {
            policy,
            config,
            slots,
            resolver: Resolver::new(),
            buffers: Buffers::default(),
            metrics: Arc::default(),
            closed: ClosedAddresses::default(),
            own: OwnConnections::default(),
            places: Places::default(),
        }))
    }

    /// What the gate counts.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Steering and limits.
    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// Answers one request. Every request is judged by itself, whatever came before it on the same connection.
    pub(crate) async fn answer(&self, request: Request<Incoming>, tasks: &Tasks) -> Answer {
        let target = Target::read(&request);
        self.answer_read(request, target, Client::Daemon, tasks)
            .await
    }

    /// Answers one request of `client` that was read as one for `target`.
    pub(crate) async fn answer_read(
        &self,
        mut request: Request<Incoming>,
        target: Result<Target, InvalidTarget>,
        client: Client,
        tasks: &Tasks,
    ) -> Answer {
        let since = Instant::now();
        let read = target.and_then(|target| Ok((target.host_header()?, target)));
        let (host_header, target) = match read {
            Ok(read) => read,
            Err(invalid) => return self.unreadable(request.method(), invalid, client, since),
        };
        let method = request.method().clone();
        let asked = Asked {
            method: &method,
            target: &target,
            client,
            since,
        };
        let (far, guard, slot) = match self.admit(&asked).await {
            Ok(Admitted::Connected(far, guard, slot)) => (far, guard, slot),
            Ok(Admitted::Inspected(permit, slot)) => {
                let admitted = (permit, slot);
                return self.inspect(request, target, admitted, client, tasks).await;
            }
            Err(answer) => return answer,
        };
        match target.form() {
            Form::Tunnel => {
                let upgrade = hyper::upgrade::on(&mut request);
                let gate = self.clone();
                tasks.spawn(async move {
                    gate.carry(upgrade, far, &guard, &target).await;
                    drop(slot);
                });
                answer::tunnel_open()
            }
            Form::Forward => {
                let proxy = self.proxy_to(&target);
                let idle_timeout = self.config().idle_timeout;
                let Ok(request) = forward::outgoing(request, host_header, proxy) else {
                    return self.unreadable(&method, InvalidTarget::NotForProxy, client, since);
                };
                let response = forward::send(request, far.stream, slot, tasks, idle_timeout).await;
                response.map_or_else(|error| self.failed(&asked, &error), answer::forwarded)
            }
        }
    }

    /// Asks the policy, and connects if it permits. Otherwise the answer to give.
    pub(crate) async fn admit(&self, asked: &Asked<'_>) -> Result<Admitted, Answer> {
        let config = self.config();
        let (host, port) = (asked.target.host(), asked.target.port());
        if config.canaries.saw(host) {
            return Err(answer::canary());
        }
        let policy = self.0.policy.load_full();
        let decided = match asked.client {
            Client::Daemon => policy.evaluate_tunnel(host, port, &config.steering),
            Client::Captured(_) => policy.evaluate_captured(host, port, &config.steering),
        };
        let permit = match decided {
            TunnelDecision::Allow(permit) => permit,
            TunnelDecision::Deny(denial) => {
                let reason = denial.reason().code();
                let id = DecisionId::new();
                audit::denied(id, asked, reason, &denial.rule());
                self.0.metrics.denied(reason, Some(host));
                return Err(answer::denied(&denial, id));
            }
        };
        // Before resolving, so that the limit bounds what is asked of name servers too.
        let Ok(room) = Arc::clone(&self.0.slots).try_acquire_owned() else {
            audit::allowed(asked, &permit);
            audit::overloaded(asked, config.tunnels_max);
            return Err(answer::overloaded(config.tunnels_max));
        };
        let slot = Slot::new(room, self.0.metrics.tunnels_open.clone());
        if permit.is_inspected() {
            audit::allowed(asked, &permit);
            self.0.metrics.tunnels.inc();
            return Ok(Admitted::Inspected(permit, slot));
        }
        let begun = Instant::now();
        let destination = match self.resolve(asked.target, &permit).await {
            Ok(destination) => destination,
            Err(Unresolved::Refused(refused)) => {
                let id = DecisionId::new();
                audit::denied(id, asked, ADDRESS_REFUSED, "egress");
                self.0.metrics.denied(ADDRESS_REFUSED, Some(host));
                return Err(answer::address_refused(asked.target, &refused, id));
            }
            Err(Unresolved::Failed(error)) => {
                audit::allowed(asked, &permit);
                return Err(self.failed(asked, &error));
            }
        };
        // Unlisted: nothing but its name speaks for it. In audit mode the name is let through, and so is this.
        let unproven = asked.client != Client::Daemon && !permit.is_listed();
        if unproven
            && permit.grant().suppressed().is_none()
            && let Some(registry) = self.0.closed.registry_at(destination.addresses())
        {
            let id = DecisionId::new();
            audit::denied(id, asked, REGISTRY_ADDRESS, "egress");
            self.0.metrics.denied(REGISTRY_ADDRESS, Some(host));
            return Err(answer::registry_address(asked.target, &registry, id));
        }
        audit::allowed(asked, &permit);
        let opened = self.open(asked.target, &permit, &destination).await;
        let far = opened.map_err(|error| self.failed(asked, &error))?;
        self.0
            .metrics
            .connect_seconds
            .observe(begun.elapsed().as_secs_f64());
        self.0.metrics.tunnels.inc();
        let strict = unproven || policy.is_registry(host, port);
        let guard = Guard::new(host.clone(), strict);
        Ok(Admitted::Connected(far, guard, slot))
    }

    /// Reads what is for a registry. Without what reads, nothing passes.
    async fn inspect(
        &self,
        mut request: Request<Incoming>,
        target: Target,
        (permit, slot): (TunnelPermit, Slot),
        client: Client,
        tasks: &Tasks,
    ) -> Answer {
        let Some(inspection) = self.config().inspection.clone() else {
            return answer::uninspected(&target);
        };
        if target.form() == Form::Forward {
            let response = inspection.answer(request, &permit, client).await;
            return answer::inspected(response);
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let gate = self.clone();
        tasks.spawn(async move {
            let since = Instant::now();
            let ended = inspection
                .converse(upgrade, &permit, client, gate.config())
                .await;
            if let Err(refused) = ended {
                gate.refused(&target, since, &refused);
            }
            drop(slot);
        });
        answer::tunnel_open()
    }

    /// The proxy through which `target` is reached, if one is.
    fn proxy_to(&self, target: &Target) -> Option<&UpstreamProxy> {
        let proxy = self.config().upstream_proxy.as_ref();
        proxy.filter(|proxy| proxy.carries(target.host(), target.port()))
    }

    async fn resolve(
        &self,
        target: &Target,
        permit: &TunnelPermit,
    ) -> Result<Destination, Unresolved> {
        let (resolver, limit) = (&self.0.resolver, self.config().resolve_timeout);
        match self.proxy_to(target) {
            None => Destination::resolve(permit, resolver, limit).await,
            Some(proxy) => Destination::of_proxy(permit, proxy, resolver, limit).await,
        }
    }

    /// Connects, and for a tunnel goes on through the proxy that stands between.
    async fn open(
        &self,
        target: &Target,
        permit: &TunnelPermit,
        destination: &Destination,
    ) -> Result<FarEnd, UpstreamError> {
        let limit = self.config().connect_timeout;
        let stream = connect::open(destination, limit).await?;
        self.0.own.note(&stream);
        match (self.proxy_to(target), target.form()) {
            (Some(proxy), Form::Tunnel) => timeout(limit, proxy.tunnel(permit, stream))
                .await
                .map_err(|_| UpstreamError::ConnectTimeout)?,
            (Some(_), Form::Forward) | (None, _) => Ok(FarEnd {
                stream,
                early: Bytes::new(),
            }),
        }
    }

    async fn carry(&self, upgrade: OnUpgrade, far: FarEnd, guard: &Guard, target: &Target) {
        let since = Instant::now();
        if let Err(refused) = self.tunnel(guard).carry(upgrade, far).await {
            self.refused(target, since, &refused);
        }
    }

    /// What carries bytes, as far as `guard` lets them.
    pub(crate) fn tunnel<'a>(&'a self, guard: &'a Guard) -> Tunnel<'a> {
        let config = self.config();
        Tunnel {
            guard,
            buffers: &self.0.buffers,
            metrics: &self.0.metrics,
            idle_timeout: config.idle_timeout,
            opening_timeout: config.header_read_timeout,
        }
    }

    /// What cannot be read is refused.
    fn unreadable(
        &self,
        method: &Method,
        invalid: InvalidTarget,
        client: Client,
        since: Instant,
    ) -> Answer {
        let id = DecisionId::new();
        audit::unreadable(id, method, invalid, client, since);
        self.0.metrics.denied(invalid.code(), None);
        answer::unreadable(invalid, id)
    }

    fn refused(&self, target: &Target, since: Instant, refused: &RefusedOpening) {
        let asked = Asked {
            method: &Method::CONNECT,
            target,
            client: Client::Daemon,
            since,
        };
        self.opening_refused(&asked, refused);
    }

    pub(crate) fn opening_refused(&self, asked: &Asked<'_>, refused: &RefusedOpening) {
        audit::opening_refused(asked, refused);
        self.0
            .metrics
            .denied(refused.code(), Some(asked.target.host()));
    }

    /// Who has how many captured connections.
    pub(crate) fn places(&self) -> &Places {
        &self.0.places
    }

    /// The connections that the gate itself has made of late.
    pub(crate) fn own(&self) -> &OwnConnections {
        &self.0.own
    }

    fn failed(&self, asked: &Asked<'_>, error: &UpstreamError) -> Answer {
        audit::upstream_failed(asked, error);
        self.0.metrics.failures.inc();
        answer::upstream_failed(asked.target, error)
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Egress")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}

/// A stable code for logs and metrics.
const ADDRESS_REFUSED: &str = "address-not-allowed";
const REGISTRY_ADDRESS: &str = "registry-address";
