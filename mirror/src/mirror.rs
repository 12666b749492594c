//! The mirror: reads a request, asks the policy, and only then looks for what was asked for.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{Method, Request, Response};
use ramgate_catalog::Catalog;
use ramgate_policy::{Action, Decision, Policy, Request as Question, Subject};
use ramgate_provenance::Ledger;
use thiserror::Error;

use crate::answer::{self, Kind, Unserved};
use crate::audit::{self, Source};
use crate::config::Config;
use crate::manifests::Memory;
use crate::origins::Origins;
use crate::path::{self, Target};
use crate::store::Store;
use crate::upstream::Upstreams;

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
    memory: Memory,
    origins: Origins,
}

/// Why there is no mirror.
#[derive(Debug, Error)]
pub enum MirrorError {
    /// The store's directory cannot be made or read.
    #[error("the store {path} cannot be opened")]
    Store {
        /// The directory.
        path: std::path::PathBuf,
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
        let store = Store::open(&config.storage).map_err(|source| MirrorError::Store {
            path: config.storage.clone(),
            source,
        })?;
        let upstreams = Upstreams::new(&config).map_err(MirrorError::Client)?;
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                policy,
                store,
                upstreams,
                memory: Memory::new(),
                origins: Origins::new(ledger),
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
        let permit = match self.catalog.evaluate(&policy, &question).await {
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
                    (answer::manifest(&manifest, &digest, head), Some(source))
                }
                Err(problem) => (failed(&problem, Kind::Manifest), None),
            },
            Target::Tags(_) => match self.tags(&permit, &policy, request.uri()).await {
                Ok(tags) => (answer::tags(tags, head), Some(Source::Miss)),
                Err(problem) => (failed(&problem, Kind::Tags), None),
            },
            Target::Blob(_, digest) => match self.blob(&permit, &policy, digest, head).await {
                Ok((body, size, source)) => (answer::blob(body, size, digest), Some(source)),
                Err(problem) => (failed(&problem, Kind::Blob), None),
            },
        };
        audit::allowed(&permit, &target, source, started);
        response
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

    pub(crate) fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    pub(crate) fn origins(&self) -> &Origins {
        &self.inner.origins
    }
}

fn failed(problem: &Unserved, kind: Kind) -> Response<Body> {
    let cause = std::error::Error::source(problem).map(ToString::to_string);
    tracing::warn!(error = %problem, cause, "upstream failed");
    answer::unserved(problem, kind)
}
