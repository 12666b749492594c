//! Requests that a client makes to a registry itself, read by the network gate on their way: judged as the mirror judges, and
//! passed on with the caller's own credentials, which are never kept or logged.
//!
//! INVARIANT(judged): nothing reaches the registry but what [`Route`] can name and the policy allows. INVARIANT(named): as for
//! the mirror's fetches; redirects for content are followed here, so that the client needs no other host.

mod exchange;
mod headers;
mod route;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{Method, Request, Response};
use ramgate_policy::{
    Action, Decision, Denial, Host, Permit, Policy, Registry, Repository, Request as Question,
    Subject,
};
use ramgate_provenance::DecisionId;

use crate::answer;
use crate::audit::{Asked, Asker};
use crate::mirror::Mirror;
use exchange::Exchange;
use route::{Purpose, Route};

/// Judges and answers what clients ask of registries. Clones share what was learnt.
#[derive(Clone, Debug)]
pub struct Inspector {
    mirror: Mirror,
    policy: Arc<ArcSwap<Policy>>,
    realms: Realms,
}

/// Where registries said that their tokens are, on their own hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Realms(Arc<Mutex<HashSet<(Registry, String)>>>);

// === impl Inspector ===

impl Inspector {
    /// An inspector with the upstreams and the ledger of `mirror`, that judges by whatever stands in `policy`.
    #[must_use]
    pub fn new(mirror: Mirror, policy: Arc<ArcSwap<Policy>>) -> Self {
        Self {
            mirror,
            policy,
            realms: Realms::default(),
        }
    }

    /// Answers one request of `subject` that was made to `host` at `port`.
    pub async fn respond(
        &self,
        host: &Host,
        port: u16,
        subject: &Subject,
        request: Request<Body>,
    ) -> Response<Body> {
        let started = Instant::now();
        let asker = Asker::inspected(subject).tracing(request.headers());
        let registry = Registry::new(host.clone(), port);
        let route = Route::read(&request, &registry, &self.realms);
        let policy = self.policy.load_full();
        let exchange = Exchange {
            mirror: &self.mirror,
            policy: &policy,
            realms: &self.realms,
            registry: &registry,
            host,
            asker,
        };
        let route = match route {
            Ok(route) => route,
            Err(problem) => {
                let id = DecisionId::new();
                asker.unreadable(id, Some(&registry), &problem);
                return answer::unreadable(&problem, id);
            }
        };
        let (repository, purpose) = match route {
            Route::Base | Route::Token => return exchange.pass_on(request).await,
            Route::Search => {
                return match policy.evaluate_registry(&registry, subject) {
                    Ok(_) => exchange.pass_on(request).await,
                    Err(denial) => {
                        let id = DecisionId::new();
                        asker.search_denied(id, &registry, &denial);
                        answer::denied(&denial, id)
                    }
                };
            }
            Route::Repository(repository, purpose) => (repository, purpose),
        };
        let judged = self
            .judge(&policy, &repository, &purpose, request.method(), subject)
            .await;
        let asked = purpose.asked(asker, &repository, started);
        match judged {
            Ok(permit) => {
                // What is looked at before a push is allowed as one.
                let action = permit.action();
                Asked { action, ..asked }.allowed(permit.grant(), None);
                exchange
                    .carry_out(&permit, &purpose, request, started)
                    .await
            }
            Err(denial) => {
                let id = DecisionId::new();
                asked.denied(id, &denial);
                answer::denied(&denial, id)
            }
        }
    }

    /// Asks the policy for everything that the request would do.
    async fn judge(
        &self,
        policy: &Policy,
        repository: &Repository,
        purpose: &Purpose,
        method: &Method,
        subject: &Subject,
    ) -> Result<Permit, Denial> {
        let ask = async |repository: &Repository, action| {
            let question = Question {
                repository,
                action,
                subject,
            };
            match self.mirror.catalog().evaluate(policy, &question).await {
                Decision::Allow(permit) => Ok(permit),
                Decision::Deny(denial) => Err(denial),
            }
        };
        match purpose {
            Purpose::Push { mounts } => {
                let permit = ask(repository, Action::Push).await?;
                // A mount brings in what another repository has.
                for source in mounts {
                    ask(source, Action::Pull).await?;
                }
                Ok(permit)
            }
            // A client that pushes asks what is there already, and gets no content.
            Purpose::Manifest(_) | Purpose::Blob(_) if *method == Method::HEAD => {
                match ask(repository, Action::Pull).await {
                    Ok(permit) => Ok(permit),
                    Err(denial) => ask(repository, Action::Push).await.map_err(|_| denial),
                }
            }
            Purpose::Manifest(_) | Purpose::Blob(_) | Purpose::Listing => {
                ask(repository, Action::Pull).await
            }
        }
    }
}

// === impl Realms ===

impl Realms {
    /// Notes that `registry` gives out tokens at `path` of its own host.
    pub(crate) fn learn(&self, registry: &Registry, path: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Each allowed registry says one or two.
        if known.len() < REALMS_MAX {
            known.insert((registry.clone(), path.to_owned()));
        }
    }

    pub(crate) fn know(&self, registry: &Registry, path: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&(registry.clone(), path.to_owned()))
    }
}

const REALMS_MAX: usize = 4096;
