//! One request: read, judge, resolve, connect, carry.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Request;
use hyper::body::Incoming;
use ramgate_policy::{Policy, TunnelDecision};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::answer::{self, Answer};
use crate::audit::{self, Asked};
use crate::config::Config;
use crate::connect;
use crate::destination::{Destination, Unresolved};
use crate::forward;
use crate::target::{Form, Target};
use crate::tasks::Tasks;
use crate::tunnel;
use crate::upstream::UpstreamError;

/// The network gate. Clones share the policy and the limits.
#[derive(Clone)]
pub struct Egress(Arc<Shared>);

struct Shared {
    policy: Arc<ArcSwap<Policy>>,
    config: Config,
    slots: Arc<Semaphore>,
}

/// A connection to a target that the policy permits, and the room for it.
struct Admitted {
    upstream: TcpStream,
    slot: OwnedSemaphorePermit,
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
        }))
    }

    /// Steering and limits.
    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// Answers one request. Every request is judged by itself, whatever came before it on the same connection.
    pub(crate) async fn answer(&self, mut request: Request<Incoming>, tasks: &Tasks) -> Answer {
        let since = Instant::now();
        let read = Target::read(&request).and_then(|target| Ok((target.host_header()?, target)));
        let (host_header, target) = match read {
            Ok(read) => read,
            Err(invalid) => {
                audit::unreadable(request.method(), invalid, since);
                return answer::unreadable(invalid);
            }
        };
        let method = request.method().clone();
        let asked = Asked {
            method: &method,
            target: &target,
            since,
        };
        let Admitted { upstream, slot } = match self.admit(&asked).await {
            Ok(admitted) => admitted,
            Err(answer) => return answer,
        };
        let idle_timeout = self.config().idle_timeout;
        match target.form() {
            Form::Tunnel => {
                let upgrade = hyper::upgrade::on(&mut request);
                tasks.spawn(async move {
                    tunnel::carry(upgrade, upstream, idle_timeout).await;
                    drop(slot);
                });
                answer::tunnel_open()
            }
            Form::Forward => {
                let request = forward::outgoing(request, host_header);
                let response = forward::send(request, upstream, slot, tasks, idle_timeout).await;
                response.map_or_else(|error| failed(&asked, &error), answer::forwarded)
            }
        }
    }

    /// Asks the policy, and connects if it permits. Otherwise the answer to give.
    async fn admit(&self, asked: &Asked<'_>) -> Result<Admitted, Answer> {
        let config = self.config();
        let (host, port) = (asked.target.host(), asked.target.port());
        if config.canaries.saw(host) {
            return Err(answer::canary());
        }
        let decision = self
            .0
            .policy
            .load()
            .evaluate_tunnel(host, port, &config.steering);
        let permit = match decision {
            TunnelDecision::Allow(permit) => permit,
            TunnelDecision::Deny(denial) => {
                audit::denied(asked, denial.reason().code(), &denial.rule());
                return Err(answer::denied(&denial));
            }
        };
        // Before resolving, so that the limit bounds the resolver's threads too.
        let Ok(slot) = Arc::clone(&self.0.slots).try_acquire_owned() else {
            audit::allowed(asked, &permit);
            audit::overloaded(asked, config.tunnels_max);
            return Err(answer::overloaded(config.tunnels_max));
        };
        let destination = match Destination::resolve(&permit, config.resolve_timeout).await {
            Ok(destination) => destination,
            Err(Unresolved::Refused(refused)) => {
                audit::denied(asked, "address-not-allowed", "egress");
                return Err(answer::address_refused(asked.target, &refused));
            }
            Err(Unresolved::Failed(error)) => {
                audit::allowed(asked, &permit);
                return Err(failed(asked, &error));
            }
        };
        audit::allowed(asked, &permit);
        let opened = connect::open(&destination, config.connect_timeout).await;
        let upstream = opened.map_err(|error| failed(asked, &error))?;
        Ok(Admitted { upstream, slot })
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

fn failed(asked: &Asked<'_>, error: &UpstreamError) -> Answer {
    audit::upstream_failed(asked, error);
    answer::upstream_failed(asked.target, error)
}
