//! Authorizes requests: reads them, asks the engine where it must, and the policy always.
//!
//! INVARIANT(fail-closed): there is one way to an allowance, the end of [`Authorizer::judge`]; whatever cannot be read, asked
//! or answered in time ends in a refusal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ramgate_policy::{
    Action, Decision, Grant, ImageName, LocalDecision, LocalImage, Policy, Repository,
    Request as PolicyRequest, Steering, Subject, TunnelDecision,
};

use crate::answer::{Answer, Refusal};
use crate::audit::{self, Facts};
use crate::engine::Engine;
use crate::engine_api::Request;
use crate::message::AuthZReq;
use crate::question::{Question, Reading};
use crate::unreadable::Unreadable;

/// Authorizes requests to one engine. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Authorizer {
    policy: Arc<ArcSwap<Policy>>,
    engine: Engine,
}

/// What was judged last, for the log.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) registry: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) action: Option<&'static str>,
}

/// The request while it is judged.
struct Case<'a> {
    policy: &'a Policy,
    subject: &'a Subject,
    engine: &'a Engine,
    facts: &'a mut Facts,
    grant: Option<Grant>,
}

// === impl Authorizer ===

impl Authorizer {
    /// Authorizes by `policy`, which is read anew for each request.
    #[must_use]
    pub const fn new(policy: Arc<ArcSwap<Policy>>, engine: Engine) -> Self {
        Self { policy, engine }
    }

    /// Answers one AuthZReq.
    pub async fn authorize(&self, body: &[u8]) -> Answer {
        let started = Instant::now();
        let mut facts = Facts::default();
        let Ok(message) = serde_json::from_slice::<AuthZReq<'_>>(body) else {
            return Self::refuse(
                &facts,
                &Subject::Anonymous,
                &Refusal::Unreadable(Unreadable::Message),
                started,
            );
        };
        let subject = message.subject();
        let request = match Request::parse(&message) {
            Ok(request) => request,
            Err(problem) => {
                return Self::refuse(&facts, &subject, &Refusal::Unreadable(problem), started);
            }
        };
        facts.method.push_str(request.method);
        facts.route = request.route.template;
        facts.api_version.clone_from(&request.version);
        let questions = match request.read() {
            Ok(Reading::Pass) => return Answer::allow(),
            Ok(Reading::Ask(questions)) => questions,
            Err(problem) => {
                return Self::refuse(&facts, &subject, &Refusal::Unreadable(problem), started);
            }
        };
        let policy = self.policy.load_full();
        let mut case = Case {
            policy: &policy,
            subject: &subject,
            engine: &self.engine,
            facts: &mut facts,
            grant: None,
        };
        let judged = tokio::time::timeout(DEADLINE, case.judge(&questions)).await;
        let grant = case.grant;
        match judged {
            Ok(Ok(())) => {
                audit::allowed(&facts, &subject, grant.as_ref(), started);
                Answer::allow()
            }
            Ok(Err(refusal)) => Self::refuse(&facts, &subject, &refusal, started),
            Err(_) => Self::refuse(&facts, &subject, &Refusal::Timeout, started),
        }
    }

    /// The answer to a message that was not even taken in.
    pub(crate) fn too_large() -> Answer {
        Self::refuse(
            &Facts::default(),
            &Subject::Anonymous,
            &Refusal::Unreadable(Unreadable::TooLarge),
            Instant::now(),
        )
    }

    fn refuse(facts: &Facts, subject: &Subject, refusal: &Refusal, started: Instant) -> Answer {
        audit::refused(facts, subject, refusal, started);
        Answer::refuse(refusal)
    }
}

// === impl Case ===

impl Case<'_> {
    async fn judge(&mut self, questions: &[Question]) -> Result<(), Refusal> {
        for question in questions {
            match question {
                Question::Repository(repository, action) => self.repository(repository, *action)?,
                Question::Image(text) => self.image(text).await?,
                Question::Container(name) => {
                    // What is not there does not start.
                    if let Some(image) = self
                        .engine
                        .container_image(name)
                        .await
                        .map_err(Refusal::Unevaluated)?
                    {
                        self.image(&image).await?;
                    }
                }
                Question::PreviousService(id) => {
                    if let Some(image) = self
                        .engine
                        .previous_image(id)
                        .await
                        .map_err(Refusal::Unevaluated)?
                    {
                        self.repository(&reference(&image)?, Action::Run)?;
                    }
                }
                Question::Local(kind) => self.local(*kind).await?,
                Question::Host(host, port) => {
                    // Docker Hub serves no archives; whether the mirror carries it does not matter here.
                    match self.policy.evaluate_tunnel(
                        host,
                        *port,
                        &Steering {
                            docker_hub_by_mirror: true,
                        },
                    ) {
                        TunnelDecision::Allow(permit) => self.grant = Some(permit.grant().clone()),
                        TunnelDecision::Deny(denial) => return Err(Refusal::Denied(denial)),
                    }
                }
                Question::Registry(registry) => {
                    self.facts.judged.registry = Some(registry.to_string());
                    let granted = self.policy.evaluate_registry(registry, self.subject);
                    self.grant = Some(granted.map_err(Refusal::Denied)?);
                }
                Question::Http1 => {
                    if self
                        .engine
                        .speaks_http2()
                        .await
                        .map_err(Refusal::Unevaluated)?
                    {
                        return Err(Refusal::Unreadable(Unreadable::FormBody));
                    }
                }
                Question::Gates => {
                    let in_force = self
                        .engine
                        .gates_in_force()
                        .await
                        .map_err(Refusal::Unevaluated)?;
                    if !in_force && !self.policy.is_audit() {
                        return Err(Refusal::NoGates);
                    }
                }
                Question::OwnPlugin => return Err(Refusal::OwnPlugin),
            }
        }
        Ok(())
    }

    fn repository(&mut self, repository: &Repository, action: Action) -> Result<(), Refusal> {
        self.facts.judged = Judged {
            registry: Some(repository.registry().to_string()),
            repository: Some(repository.path().to_owned()),
            action: Some(action.as_str()),
        };
        match self.policy.evaluate(&PolicyRequest {
            repository,
            action,
            subject: self.subject,
        }) {
            Decision::Allow(permit) => {
                self.grant = Some(permit.grant().clone());
                Ok(())
            }
            Decision::Deny(denial) => Err(Refusal::Denied(denial)),
        }
    }

    /// Judges the image that dockerd takes `text` for.
    async fn image(&mut self, text: &str) -> Result<(), Refusal> {
        let name = text.parse::<ImageName>().map_err(|source| {
            Refusal::Unreadable(Unreadable::Reference {
                text: text.to_owned(),
                source,
            })
        })?;
        match name {
            ImageName::Reference(_) => self.repository(&reference(text)?, Action::Run),
            ImageName::Id(_) | ImageName::Ambiguous(_) => {
                match self
                    .engine
                    .image(text)
                    .await
                    .map_err(Refusal::Unevaluated)?
                {
                    Some(image) if image.was_named_by_id(text) => {
                        let mut named = false;
                        for name in image.names() {
                            named = true;
                            self.repository(&reference(name)?, Action::Run)?;
                        }
                        if named {
                            Ok(())
                        } else {
                            self.local(LocalImage::Unknown).await
                        }
                    }
                    // It goes by this name, or there is none and its user will be asked to pull it by this name.
                    Some(_) => self.repository(&reference(text)?, Action::Run),
                    None if matches!(name, ImageName::Ambiguous(_)) => {
                        self.repository(&reference(text)?, Action::Run)
                    }
                    // Nothing goes by this ID, so nothing will run.
                    None => Ok(()),
                }
            }
        }
    }

    async fn local(&mut self, kind: LocalImage) -> Result<(), Refusal> {
        self.facts.judged.action = Some(kind.key());
        match self.policy.evaluate_local(kind, self.subject) {
            LocalDecision::Allow(grant) => self.grant = Some(grant),
            LocalDecision::Gated(grant, denial) => {
                if !self
                    .engine
                    .gates_in_force()
                    .await
                    .map_err(Refusal::Unevaluated)?
                {
                    return Err(Refusal::Denied(denial));
                }
                self.grant = Some(grant);
            }
            LocalDecision::Deny(denial) => return Err(Refusal::Denied(denial)),
        }
        Ok(())
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

/// dockerd itself waits for ever; this is long enough for two questions to the engine.
const DEADLINE: Duration = Duration::from_secs(5);
