//! Authorizes requests: reads them, asks the engine where it must, and the policy always.
//!
//! INVARIANT(fail-closed): whatever cannot be read, asked or answered in time ends in a refusal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ramgate_catalog::Catalog;
use ramgate_policy::{Action, Policy, Subject};
use ramgate_provenance::{DecisionId, Delegations};

use crate::answer::{Answer, Refusal};
use crate::audit::{self, Facts};
use crate::case::{Case, Findings};
use crate::engine_api::Request;
use crate::identity::Identity;
use crate::message::AuthZReq;
use crate::metrics::{Metrics, Outcome};
use crate::question::{Question, Reading};
use crate::registrar::Registrar;
use crate::unreadable::Unreadable;

/// Authorizes requests to one engine. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Authorizer {
    policy: Arc<ArcSwap<Policy>>,
    registrar: Registrar,
    identity: Identity,
    catalog: Catalog,
    delegations: Delegations,
}

// === impl Authorizer ===

impl Authorizer {
    /// Authorizes by `policy`, which is read anew for each request.
    #[must_use]
    pub fn new(policy: Arc<ArcSwap<Policy>>, registrar: Registrar, identity: Identity) -> Self {
        Self {
            policy,
            registrar,
            identity,
            catalog: Catalog::none(),
            delegations: Delegations::default(),
        }
    }

    /// Judges names by what `catalog` knows of Docker Hub.
    #[must_use]
    pub fn with_catalog(self, catalog: Catalog) -> Self {
        Self { catalog, ..self }
    }

    /// Tells the mirror, which shares `delegations`, for whom the daemon fetches.
    #[must_use]
    pub fn with_delegations(self, delegations: Delegations) -> Self {
        Self {
            delegations,
            ..self
        }
    }

    /// Answers one AuthZReq.
    pub async fn authorize(&self, body: &[u8]) -> Answer {
        let started = Instant::now();
        let mut facts = Facts::default();
        let Ok(message) = serde_json::from_slice::<AuthZReq<'_>>(body) else {
            return self.unreadable(&facts, &Subject::Anonymous, Unreadable::Message, started);
        };
        let subject = message.subject();
        let request = match Request::parse(&message) {
            Ok(request) => request,
            Err(problem) => {
                return self.unreadable(&facts, &subject, problem, started);
            }
        };
        let read = request.read();
        // Most requests: of these nothing is told.
        if read == Ok(Reading::Pass) {
            self.metrics().passed();
            return Answer::allow();
        }
        facts.method.push_str(request.method);
        facts.route = request.route.template;
        facts.api_version = request.version().map(str::to_owned);
        facts.trace = message
            .header("Traceparent")
            .and_then(|value| value.parse().ok());
        let questions = match read {
            Ok(Reading::Pass) => Vec::new(),
            Ok(Reading::Ask(questions)) => questions,
            Err(problem) => {
                return self.unreadable(&facts, &subject, problem, started);
            }
        };
        if self.is_own(&questions) {
            return Answer::allow();
        }
        let policy = self.policy.load_full();
        let case = Case {
            policy: &policy,
            subject: &subject,
            registrar: &self.registrar,
            identity: &self.identity,
            catalog: &self.catalog,
            facts: &mut facts,
            findings: Findings::default(),
        };
        match tokio::time::timeout(DEADLINE, case.judge(&questions)).await {
            Ok(Ok(grant)) => {
                if request.brings_images()
                    && let Err(refusal) = self.begin(&subject, &request, &questions, &policy).await
                {
                    return self.refuse(&facts, &subject, &refusal, &policy, started);
                }
                audit::allowed(&facts, &subject, grant.as_ref(), started);
                let suppressed = grant.is_some_and(|grant| grant.suppressed().is_some());
                let outcome = match suppressed {
                    true => Outcome::Suppressed,
                    false => Outcome::Allow,
                };
                self.count(&facts, outcome, &policy, started);
                Answer::allow()
            }
            Ok(Err(refusal)) => self.refuse(&facts, &subject, &refusal, &policy, started),
            Err(_) => self.refuse(&facts, &subject, &Refusal::Timeout, &policy, started),
        }
    }

    /// Hears that a daemon has begun to ask. It may be another version than the last one.
    pub(crate) fn activated(&self) {
        self.registrar.engine().forget();
        self.delegations.forget();
    }

    /// Hears that a request was carried out, and takes in what it brought before the next one can ask for it.
    pub async fn carried_out(&self, body: &[u8]) {
        let Ok(message) = serde_json::from_slice::<AuthZReq<'_>>(body) else {
            return;
        };
        let Ok(request) = Request::parse(&message) else {
            return;
        };
        let Ok(Reading::Ask(questions)) = request.read() else {
            return;
        };
        if request.creates_container() {
            self.created(&message, &questions).await;
            return;
        }
        if self.is_own(&questions) || !request.brings_images() {
            return;
        }
        self.identity.forget_names();
        let taken = tokio::time::timeout(DEADLINE, async {
            if request.builds() {
                self.registrar.catch_up_with_builds().await
            } else {
                self.registrar.catch_up().await
            }
        })
        .await;
        self.end(&message.subject(), &request, &questions);
        // The watch, or the next question about the image, will do it.
        match taken {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "what a request brought is taken in later"),
            Err(_) => {
                tracing::debug!("what a request brought is taken in later: the engine is slow")
            }
        }
    }

    /// Takes in what a new container has mounted, before anybody can hear of it and start it.
    async fn created(&self, message: &AuthZReq<'_>, questions: &[Question]) {
        // Its image, and nothing else that bears one.
        if let [Question::Image(_)] = questions {
            return;
        }
        let Some(container) = message.created() else {
            return;
        };
        let taking = self.registrar.take_in_container(&container);
        match tokio::time::timeout(DEADLINE, taking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(container, %error, "it is not known what a new container has mounted");
            }
            Err(_) => {
                tracing::warn!(
                    container,
                    "it is not known what a new container has mounted: the engine is slow"
                );
            }
        }
    }

    /// Whether it is ourselves who ask, by a canary: nobody else knows its name.
    fn is_own(&self, questions: &[Question]) -> bool {
        matches!(questions, [Question::Repository(repository, Action::Pull)]
            if self.registrar.gates().is_canary(repository.registry().host()))
    }

    pub(crate) fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn delegations(&self) -> &Delegations {
        &self.delegations
    }

    /// The answer to a message that was not even taken in.
    pub(crate) fn too_large(&self) -> Answer {
        let (facts, started) = (Facts::default(), Instant::now());
        self.unreadable(&facts, &Subject::Anonymous, Unreadable::TooLarge, started)
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.registrar.metrics()
    }

    fn unreadable(
        &self,
        facts: &Facts,
        subject: &Subject,
        problem: Unreadable,
        started: Instant,
    ) -> Answer {
        let refusal = Refusal::Unreadable(problem);
        self.refuse(facts, subject, &refusal, &self.policy.load(), started)
    }

    fn refuse(
        &self,
        facts: &Facts,
        subject: &Subject,
        refusal: &Refusal,
        policy: &Policy,
        started: Instant,
    ) -> Answer {
        let id = DecisionId::new();
        audit::refused(id, facts, subject, refusal, started);
        match refusal {
            Refusal::Unreadable(problem) => self.metrics().unreadable(problem.code()),
            Refusal::Unevaluated(_) | Refusal::Timeout => {
                self.metrics().unevaluated(refusal.code());
            }
            Refusal::Denied { .. }
            | Refusal::NoGates(_)
            | Refusal::OwnPlugin
            | Refusal::Meanwhile(_) => {}
        }
        self.count(facts, Outcome::Deny, policy, started);
        Answer::refuse(refusal, id)
    }

    fn count(&self, facts: &Facts, outcome: Outcome, policy: &Policy, started: Instant) {
        let (deed, audit) = (facts.judged.action, policy.is_audit());
        self.metrics()
            .decided(deed, outcome, audit, started.elapsed());
    }
}

/// dockerd itself waits for ever; this is long enough for two questions to the engine.
const DEADLINE: Duration = Duration::from_secs(5);
