//! Authorizes requests: reads them, asks the engine where it must, and the policy always.
//!
//! INVARIANT(fail-closed): there is one way to an allowance, the end of [`Case::judge`]; whatever cannot be read, asked
//! or answered in time ends in a refusal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ramgate_catalog::Catalog;
use ramgate_policy::{
    Action, Decision, Denial, Grant, ImageName, LocalDecision, LocalImage, Policy, Repository,
    Request as PolicyRequest, Steering, Subject, TunnelDecision,
};
use ramgate_provenance::{DecisionId, Delegations};

use crate::answer::{Answer, Refusal};
use crate::audit::{self, Facts};
use crate::engine_api::Request;
use crate::gates::State;
use crate::identity::{Identity, JudgedImage};
use crate::message::AuthZReq;
use crate::metrics::{Deed, Metrics, Outcome};
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

/// What was judged last, for the log.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) registry: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) action: Deed,
    /// The ID of the image, where it is known.
    pub(crate) image: Option<String>,
}

/// The request while it is judged.
struct Case<'a> {
    policy: &'a Policy,
    subject: &'a Subject,
    registrar: &'a Registrar,
    identity: &'a Identity,
    catalog: &'a Catalog,
    facts: &'a mut Facts,
    grant: Option<Grant>,
    /// All that stands against it: who has two mistakes to mend wants to hear of both.
    denials: Vec<Denial>,
    /// What images are that were asked for by names which do not say so.
    explanations: Vec<String>,
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
        let mut case = Case {
            policy: &policy,
            subject: &subject,
            registrar: &self.registrar,
            identity: &self.identity,
            catalog: &self.catalog,
            facts: &mut facts,
            grant: None,
            denials: Vec::new(),
            explanations: Vec::new(),
        };
        let judged = tokio::time::timeout(DEADLINE, case.judge(&questions)).await;
        let grant = case.grant;
        match judged {
            Ok(Ok(())) => {
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

// === impl Case ===

impl Case<'_> {
    /// Asks all questions. Denials are gathered; what cannot be read or evaluated ends it.
    async fn judge(&mut self, questions: &[Question]) -> Result<(), Refusal> {
        for question in questions {
            self.answer(question).await?;
        }
        if self.denials.is_empty() {
            return Ok(());
        }
        let mut denials = std::mem::take(&mut self.denials);
        let mut seen = Vec::new();
        denials.retain(|denial| {
            let new = !seen.contains(denial);
            seen.push(denial.clone());
            new
        });
        Err(Refusal::Denied {
            denials,
            explanations: std::mem::take(&mut self.explanations),
        })
    }

    async fn answer(&mut self, question: &Question) -> Result<(), Refusal> {
        match question {
            Question::Repository(repository, action) => self.repository(repository, *action).await,
            Question::Image(text) => self.image(text).await?,
            Question::Container(name) => self.container(name).await?,
            Question::PreviousService(id) => {
                let image = self.registrar.engine().previous_image(id).await;
                if let Some(image) = image.map_err(Refusal::unevaluated)? {
                    self.repository(&reference(&image)?, Action::Run).await;
                }
            }
            Question::Local(kind) => self.local(*kind).await?,
            Question::Host(host, port) => {
                // Docker Hub serves no archives; whether the mirror carries it does not matter here.
                let steering = Steering {
                    docker_hub_by_mirror: true,
                    inspect: false,
                };
                match self.policy.evaluate_tunnel(host, *port, &steering) {
                    TunnelDecision::Allow(permit) => self.grant = Some(permit.grant().clone()),
                    TunnelDecision::Deny(denial) => self.denials.push(denial),
                }
            }
            Question::Registry(registry) => {
                self.facts.judged.registry = Some(registry.to_string());
                let granted = self.policy.evaluate_registry(registry, self.subject);
                self.take(granted.map_err(|denial| vec![denial]));
            }
            Question::Http1 => {
                let speaks_http2 = self.registrar.engine().speaks_http2().await;
                if speaks_http2.map_err(Refusal::unevaluated)? {
                    return Err(Refusal::Unreadable(Unreadable::FormBody));
                }
            }
            Question::Gates => {
                if let State::Open(missing) = self.gates().await?
                    && !self.policy.is_audit()
                {
                    return Err(Refusal::NoGates(missing));
                }
            }
            Question::Plugin(name) => {
                let found = self.registrar.engine().plugin_reference(name).await;
                // What is not there does not run.
                if let Some(reference) = found.map_err(Refusal::unevaluated)? {
                    self.repository(&self::reference(&reference)?, Action::Pull)
                        .await;
                }
            }
            Question::OwnPlugin => return Err(Refusal::OwnPlugin),
        }
        Ok(())
    }

    async fn repository(&mut self, repository: &Repository, action: Action) {
        self.facts.judged = Judged {
            registry: Some(repository.registry().to_string()),
            repository: Some(repository.path().to_owned()),
            action: action.into(),
            image: None,
        };
        let request = PolicyRequest {
            repository,
            action,
            subject: self.subject,
        };
        match self.catalog.evaluate(self.policy, &request).await {
            Decision::Allow(permit) => self.grant = Some(permit.grant().clone()),
            Decision::Deny(denial) => self.denials.push(denial),
        }
    }

    /// Judges the image that dockerd takes `text` for: if it has one, by what that is; else by its name, since that is what its
    /// user will be asked to pull.
    async fn image(&mut self, text: &str) -> Result<(), Refusal> {
        let name = text.parse::<ImageName>().map_err(|source| {
            Refusal::Unreadable(Unreadable::Reference {
                text: text.to_owned(),
                source,
            })
        })?;
        let found = self.identity.find(text).await;
        match (found.map_err(Refusal::unevaluated)?, name) {
            (Some(image), _) => {
                let judged = self
                    .identity
                    .judge_image(text, &image, self.policy, self.subject)
                    .await
                    .map_err(Refusal::unevaluated)?;
                self.take_image(judged);
            }
            (None, ImageName::Reference(_) | ImageName::Ambiguous(_)) => {
                self.repository(&reference(text)?, Action::Run).await;
            }
            // Nothing goes by this ID, so nothing will run.
            (None, ImageName::Id(_)) => {}
        }
        Ok(())
    }

    /// Judges the images of a container. What is not there does not start.
    async fn container(&mut self, name: &str) -> Result<(), Refusal> {
        let judged = self
            .identity
            .judge_container(name, self.policy, self.subject)
            .await
            .map_err(Refusal::unevaluated)?;
        let Some(container) = judged else {
            return Ok(());
        };
        if container.denials().next().is_none() {
            self.identity.note_starter(&container.id, self.subject);
        }
        for image in container.images {
            self.take_image(image);
        }
        Ok(())
    }

    async fn local(&mut self, kind: LocalImage) -> Result<(), Refusal> {
        self.facts.judged.action = kind.into();
        match self.policy.evaluate_local(kind, self.subject) {
            LocalDecision::Allow(grant) => self.grant = Some(grant),
            LocalDecision::Gated(grant, denial) => match self.gates().await? {
                State::InForce => {
                    self.grant = Some(grant);
                    if kind == LocalImage::Build {
                        self.present_images().await?;
                    }
                }
                State::Open(missing) => {
                    self.denials.push(denial);
                    self.explanations.extend(missing);
                }
            },
            LocalDecision::Deny(denial) => self.denials.push(denial),
        }
        Ok(())
    }

    /// Judges every image that is on the host: a build can begin with any of them, and run what is in it, without a request that
    /// says so.
    async fn present_images(&mut self) -> Result<(), Refusal> {
        let judged = self
            .identity
            .judge_present(self.policy, self.subject)
            .await
            .map_err(Refusal::unevaluated)?;
        let denied = judged.into_iter().filter(|image| image.verdict.is_err());
        for image in denied.take(PRESENT_SHOWN_MAX) {
            let name = &image.name;
            self.explanations.push(format!(
                "a build could begin with `{name}`, which is on this host: remove it"
            ));
            self.take_image(image);
        }
        Ok(())
    }

    async fn gates(&self) -> Result<State, Refusal> {
        let gates = self.registrar.gates();
        gates.state().await.map_err(Refusal::unevaluated)
    }

    fn take_image(&mut self, judged: JudgedImage) {
        let origin = judged.record.origins.first();
        self.facts.judged = Judged {
            registry: origin.map(|origin| origin.registry().to_string()),
            repository: origin.map(|origin| origin.path().to_owned()),
            action: Deed::Run,
            image: judged.id.as_ref().map(ToString::to_string),
        };
        if judged.verdict.is_err() {
            self.explanations.extend(judged.explanation());
        }
        self.take(judged.verdict);
    }

    fn take(&mut self, verdict: Result<Grant, Vec<Denial>>) {
        match verdict {
            Ok(grant) => self.grant = Some(grant),
            Err(denials) => self.denials.extend(denials),
        }
    }
}

fn reference(text: &str) -> Result<Repository, Refusal> {
    text.parse::<Repository>().map_err(|source| {
        Refusal::Unreadable(Unreadable::Reference {
            text: text.to_owned(),
            source,
        })
    })
}

/// Of images that are in the way of a build, as many as one would mend at a time.
const PRESENT_SHOWN_MAX: usize = 3;
/// dockerd itself waits for ever; this is long enough for two questions to the engine.
const DEADLINE: Duration = Duration::from_secs(5);
