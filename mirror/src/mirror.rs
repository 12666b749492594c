//! The mirror: reads a request, asks the policy, and only then looks for what was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::header::RANGE;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response};
use ramgate_catalog::Catalog;
use ramgate_policy::{Permit, Policy, Registry, Repository};
use ramgate_provenance::{DecisionId, Ledger};
use thiserror::Error;
use tracing::Instrument as _;

use crate::answer::{self, Unserved};
use crate::audit::{self, Asked, Asker, Source};
use crate::config::Config;
use crate::flight::Flights;
use crate::manifests::Memory;
use crate::metrics::Metrics;
use crate::origins::Origins;
use crate::path::{self, InvalidPath, Kind, Target};
use crate::referrers;
use crate::sending::Sending;
use crate::store::Store;
use crate::upstream::{Rate, Upstreams};

/// A pull-through mirror. Cloning it is cheap and gives the same mirror.
#[derive(Clone, Debug)]
pub struct Mirror {
    inner: Arc<Inner>,
    catalog: Catalog,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    policy: Arc<ArcSwap<Policy>>,
    store: Store,
    upstreams: Upstreams,
    flights: Flights,
    memory: Memory,
    referrers: referrers::Memory,
    origins: Origins,
    metrics: Metrics,
}

/// An answer, and what there is to note of it.
struct Answered {
    response: Response<Body>,
    kind: Kind,
    source: Option<Source>,
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
        let memory = Memory::new(config.absent_ttl);
        let metrics = Metrics::default();
        let upstreams = Upstreams::new(&config, metrics.clone()).map_err(MirrorError::Client)?;
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                policy,
                store,
                upstreams,
                flights: Flights::default(),
                memory,
                referrers: referrers::Memory::new(),
                origins: Origins::new(ledger),
                metrics,
            }),
            catalog: Catalog::none(),
        })
    }

    /// Judges repositories by what `catalog` knows of Docker Hub.
    #[must_use]
    pub fn with_catalog(self, catalog: Catalog) -> Self {
        Self { catalog, ..self }
    }

    /// Answers one request.
    pub async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let (flight, started) = (self.metrics().begin(), Instant::now());
        let (parts, _) = request.into_parts();
        // Never the query: what clients put there is theirs.
        let span = tracing::debug_span!("request", method = %parts.method, path = parts.uri.path());
        let answered = self.answer(&parts, started).instrument(span).await;
        let Answered {
            response,
            kind,
            source,
        } = answered;
        let status = response.status();
        self.metrics()
            .answered(kind.as_str(), source, status.as_u16());
        audit::access(&parts, &response, source, started);
        match kind {
            // It is in flight until its last byte.
            Kind::Blob => response.map(|body| Body::new(Sending::new(body, flight))),
            Kind::Manifest if parts.method == Method::GET && status.is_success() => {
                flight.served(answer::length(&response));
                response
            }
            Kind::Manifest | Kind::Base | Kind::Tags | Kind::Referrers | Kind::Other => response,
        }
    }

    async fn answer(&self, asked: &Parts, started: Instant) -> Answered {
        if !matches!(asked.method, Method::GET | Method::HEAD) {
            return Answered::plain(Kind::Other, answer::read_only());
        }
        let asker = Asker::MIRROR.tracing(&asked.headers);
        let unreadable = |problem: &InvalidPath| {
            let id = DecisionId::new();
            asker.unreadable(id, None, problem);
            Answered::plain(Kind::Other, answer::unreadable(problem, id))
        };
        let target = match path::parse(asked.uri.path(), asked.uri.query()) {
            Ok(target) => target,
            Err(problem) => return unreadable(&problem),
        };
        let kind = target.kind();
        let Some(repository) = target.repository() else {
            return Answered::plain(kind, answer::base());
        };
        if self.config().canaries.saw(repository.registry().host()) {
            return Answered::plain(kind, answer::canary());
        }
        let policy = self.policy();
        let denied = |denial: &_| {
            let id = DecisionId::new();
            Asked::of_mirror(asker, repository, &target, started).denied(id, denial);
            self.metrics().denied(denial.reason().code());
            Answered::plain(kind, answer::denied(denial, id))
        };
        let permit = match self.admit_pull(repository, &policy).await {
            Ok(permit) => permit,
            Err(denial) => return denied(&denial),
        };
        let (mut response, source) = match self.find(&permit, &policy, &target, asked).await {
            Ok((response, source)) => (response, source),
            Err(problem) => {
                let problem = problem.root();
                if let Unserved::Denied(denial) = problem {
                    return denied(denial);
                }
                if let Unserved::Unreadable(problem) = problem {
                    return unreadable(problem);
                }
                (failed(problem, repository, kind), None)
            }
        };
        if source.is_some() {
            let namespace = path::parameter(asked.uri.query(), "ns").ok().flatten();
            answer::mark(&mut response, source, namespace.as_deref());
        }
        Asked::of_mirror(asker, permit.repository(), &target, started)
            .allowed(permit.grant(), source);
        Answered {
            response,
            kind,
            source,
        }
    }

    /// Finds what the permitted repository has. Where content is known to come from is heard first.
    async fn find(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        target: &Target,
        asked: &Parts,
    ) -> Result<(Response<Body>, Option<Source>), Unserved> {
        let head = asked.method == Method::HEAD;
        Ok(match target {
            Target::Base | Target::Other(_) => (answer::unsupported(), None),
            Target::Manifest(_, pointer) => {
                if let path::Pointer::Digest(digest) = pointer {
                    self.hear(permit, policy, digest).await?;
                }
                let (manifest, digest, source) = self.manifest(permit, policy, pointer).await?;
                // A tag has said only now which content it means.
                if let path::Pointer::Tag(_) = pointer {
                    self.hear(permit, policy, &digest).await?;
                }
                // A manifest that nobody has seen may be of an image that Docker Hub has.
                if let Some(config) = &manifest.config {
                    self.hear(permit, policy, config).await?;
                }
                let response = if answer::has(&asked.headers, &digest) {
                    answer::not_modified(&digest)
                } else {
                    answer::manifest(&manifest, &digest, head)
                };
                (response, Some(source))
            }
            Target::Tags(_) => {
                let (tags, source) = self.tags(permit, policy, &asked.uri).await?;
                (answer::tags(tags, head), Some(source))
            }
            Target::Referrers(_, digest) => {
                let artifact_type = path::parameter(asked.uri.query(), "artifactType")
                    .map_err(|_| InvalidPath::ArtifactType)?;
                let (referrers, source) = self
                    .referrers(permit, policy, digest, artifact_type.as_deref())
                    .await?;
                (answer::referrers(referrers, head), Some(source))
            }
            Target::Blob(_, digest) => {
                self.hear(permit, policy, digest).await?;
                // That the client has it already does not say that this repository does.
                let has = answer::has(&asked.headers, digest);
                let range = asked.headers.get(RANGE);
                let range = range.and_then(|value| value.to_str().ok());
                let lane = asked.extensions.get();
                let blob = self
                    .blob(permit, policy, digest, head || has, range, lane)
                    .await?;
                let source = blob.source;
                let response = if has {
                    answer::not_modified(digest)
                } else {
                    answer::blob(blob, digest)
                };
                (response, Some(source))
            }
        })
    }

    /// What this mirror counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.inner.policy.load_full()
    }

    pub(crate) fn kept_referrers(&self) -> &referrers::Memory {
        &self.inner.referrers
    }

    /// The rate limits that registries have told, as they were last told.
    #[must_use]
    pub fn rates(&self) -> BTreeMap<Registry, Rate> {
        self.inner.upstreams.rates()
    }

    pub(crate) const fn catalog(&self) -> &Catalog {
        &self.catalog
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

// === impl Answered ===

impl Answered {
    /// An answer that comes from nowhere else.
    const fn plain(kind: Kind, response: Response<Body>) -> Self {
        Self {
            response,
            kind,
            source: None,
        }
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
