//! The mirror: reads a request, asks the policy, and only then looks for what was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::header::RANGE;
use axum::http::{Method, Request, Response};
use ramgate_policy::{
    Action, Decision, Policy, Registry, Repository, Request as Question, Subject,
};
use ramgate_provenance::Ledger;
use thiserror::Error;

use crate::answer::{self, Kind, Unserved};
use crate::audit;
use crate::config::Config;
use crate::flight::Flights;
use crate::manifests::Memory;
use crate::origins::Origins;
use crate::path::{self, Target};
use crate::store::Store;
use crate::upstream::{Rate, Upstreams};

/// A pull-through mirror. Cloning it is cheap and gives the same mirror.
#[derive(Clone, Debug)]
pub struct Mirror {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    policy: Arc<ArcSwap<Policy>>,
    store: Store,
    upstreams: Upstreams,
    flights: Flights,
    memory: Memory,
    origins: Origins,
}

/// Why there is no mirror.
#[derive(Debug, Error)]
pub enum MirrorError {
    /// The store's directory cannot be made or read, or its bucket has no client.
    #[error("the store {place} cannot be opened")]
    Store {
        /// The directory or bucket.
        place: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The TLS client cannot be made, as with a CA file that is none.
    #[error("the client for upstreams cannot be made")]
    Client(#[source] reqwest::Error),
}

// === impl Mirror ===

impl Mirror {
    /// Opens the store. What it comes to know of the origin of content goes into `ledger`. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`MirrorError`] when the store cannot be opened or a CA file is none.
    pub fn new(
        config: Config,
        policy: Arc<ArcSwap<Policy>>,
        ledger: Arc<Ledger>,
    ) -> Result<Self, MirrorError> {
        let store = Store::open(&config.storage.place).map_err(|source| MirrorError::Store {
            place: config.storage.place.to_string(),
            source,
        })?;
        let upstreams = Upstreams::new(&config).map_err(MirrorError::Client)?;
        let memory = Memory::new(config.absent_ttl);
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                policy,
                store,
                upstreams,
                flights: Flights::default(),
                memory,
                origins: Origins::new(ledger),
            }),
        })
    }

    /// Answers one request.
    pub async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        let head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => return answer::read_only(),
        };
        let target = match path::parse(request.uri().path(), request.uri().query()) {
            Ok(target) => target,
            Err(problem) => {
                tracing::warn!(target: "ramgate::audit", gate = "mirror", decision = "deny", reason = %problem, "request unreadable");
                return answer::unreadable(&problem);
            }
        };
        let repository = match &target {
            Target::Base => return answer::base(),
            Target::Manifest(repository, _)
            | Target::Blob(repository, _)
            | Target::Tags(repository)
            | Target::Other(repository) => repository,
        };
        if self.config().canaries.saw(repository.registry().host()) {
            return answer::canary();
        }
        let policy = self.inner.policy.load_full();
        let question = Question {
            repository,
            action: Action::Pull,
            subject: &Subject::Daemon,
        };
        let permit = match policy.evaluate(&question) {
            Decision::Allow(permit) => permit,
            Decision::Deny(denial) => {
                audit::denied(repository, &target, &denial, started);
                return answer::denied(&denial);
            }
        };
        let (response, source) = match &target {
            Target::Base | Target::Other(_) => (answer::unsupported(), None),
            Target::Manifest(_, pointer) => match self.manifest(&permit, &policy, pointer).await {
                Ok((manifest, digest, source)) => {
                    let response = answer::manifest(&manifest, &digest, head);
                    (answer::marked(response, source), Some(source))
                }
                Err(problem) => (failed(&problem, repository, Kind::Manifest), None),
            },
            Target::Tags(_) => match self.tags(&permit, &policy, request.uri()).await {
                Ok((tags, source)) => (
                    answer::marked(answer::tags(tags, head), source),
                    Some(source),
                ),
                Err(problem) => (failed(&problem, repository, Kind::Tags), None),
            },
            Target::Blob(_, digest) => {
                let range = request.headers().get(RANGE);
                let range = range.and_then(|value| value.to_str().ok());
                match self.blob(&permit, &policy, digest, head, range).await {
                    Ok(blob) => {
                        let source = blob.source;
                        (answer::blob(blob, digest), Some(source))
                    }
                    Err(problem) => (failed(&problem, repository, Kind::Blob), None),
                }
            }
        };
        audit::allowed(&permit, &target, source, started);
        response
    }

    /// The rate limits that registries have told, as they were last told.
    #[must_use]
    pub fn rates(&self) -> BTreeMap<Registry, Rate> {
        self.inner.upstreams.rates()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn upstreams(&self) -> &Upstreams {
        &self.inner.upstreams
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.inner.flights
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    pub(crate) fn origins(&self) -> &Origins {
        &self.inner.origins
    }
}

fn failed(problem: &Unserved, repository: &Repository, kind: Kind) -> Response<Body> {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(problem);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    tracing::warn!(error = %problem, cause = causes.join(": "), %repository, "upstream failed");
    answer::unserved(problem, kind)
}
