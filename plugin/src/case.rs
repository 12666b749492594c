//! One request while it is judged: its questions are put to the policy, and to the engine where they must be.
//!
//! INVARIANT(one-allowance): the end of [`Case::judge`] is the only way to one.

use ramgate_catalog::Catalog;
use ramgate_policy::{
    Action, Decision, Denial, Grant, ImageName, LocalDecision, LocalImage, Policy, Repository,
    Request as PolicyRequest, Steering, Subject, TunnelDecision,
};

use crate::answer::Refusal;
use crate::audit::Facts;
use crate::gates::State;
use crate::identity::{Identity, JudgedImage};
use crate::metrics::Deed;
use crate::question::Question;
use crate::registrar::Registrar;
use crate::unreadable::Unreadable;

/// What was judged last, for the log.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) registry: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) action: Deed,
    /// The ID of the image, where it is known.
    pub(crate) image: Option<String>,
}

/// What a request is judged by.
pub(crate) struct Case<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) subject: &'a Subject,
    pub(crate) registrar: &'a Registrar,
    pub(crate) identity: &'a Identity,
    pub(crate) catalog: &'a Catalog,
    /// For the log.
    pub(crate) facts: &'a mut Facts,
    pub(crate) findings: Findings,
}

/// What the questions have been answered with so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    grant: Option<Grant>,
    /// All that stands against it: who has two mistakes to mend wants to hear of both.
    denials: Vec<Denial>,
    /// What images are that were asked for by names which do not say so.
    explanations: Vec<String>,
}

// === impl Case ===

impl Case<'_> {
    /// Asks all questions; gives what allowed the last of them, if any had to be asked of the policy.
    ///
    /// # Errors
    /// All denials together; or the first question that cannot be read or evaluated, which ends it.
    pub(crate) async fn judge(mut self, questions: &[Question]) -> Result<Option<Grant>, Refusal> {
        for question in questions {
            self.answer(question).await?;
        }
        let Findings {
            grant,
            mut denials,
            explanations,
        } = self.findings;
        if denials.is_empty() {
            return Ok(grant);
        }
        let mut seen = Vec::new();
        denials.retain(|denial| {
            let new = !seen.contains(denial);
            seen.push(denial.clone());
            new
        });
        Err(Refusal::Denied {
            denials,
            explanations,
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
                    TunnelDecision::Allow(permit) => {
                        self.findings.grant = Some(permit.grant().clone())
                    }
                    TunnelDecision::Deny(denial) => self.findings.denials.push(denial),
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
            Decision::Allow(permit) => self.findings.grant = Some(permit.grant().clone()),
            Decision::Deny(denial) => self.findings.denials.push(denial),
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
            LocalDecision::Allow(grant) => self.findings.grant = Some(grant),
            LocalDecision::Gated(grant, denial) => match self.gates().await? {
                State::InForce => {
                    self.findings.grant = Some(grant);
                    if kind == LocalImage::Build {
                        self.present_images().await?;
                    }
                }
                State::Open(missing) => {
                    self.findings.denials.push(denial);
                    self.findings.explanations.extend(missing);
                }
            },
            LocalDecision::Deny(denial) => self.findings.denials.push(denial),
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
            self.findings.explanations.push(format!(
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
            self.findings.explanations.extend(judged.explanation());
        }
        self.take(judged.verdict);
    }

    fn take(&mut self, verdict: Result<Grant, Vec<Denial>>) {
        match verdict {
            Ok(grant) => self.findings.grant = Some(grant),
            Err(denials) => self.findings.denials.extend(denials),
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
