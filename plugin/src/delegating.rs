//! Has the mirror serve the daemon what a user may have and the daemon itself may not, while the user's pull lasts.
//!
//! INVARIANT(no-passenger): the mirror cannot tell whose fetch it serves, and a build names what it begins with to nobody else. So
//! while it is open for one user, no build of another is under way who may not have the same: whichever of the two begins second
//! is refused. Each says that it has begun before it looks for the other, so that they cannot miss each other. Connections to
//! BuildKit that are open already are the exception: they may stay open with nothing under way.

use ramgate_policy::{
    Action, Decision, LocalImage, Policy, Repository, Request as PolicyRequest, Subject,
};

use crate::answer::Refusal;
use crate::authorizer::Authorizer;
use crate::engine_api::Request;
use crate::question::Question;

// === impl Authorizer ===

impl Authorizer {
    /// A request was allowed that brings images, and is about to begin.
    ///
    /// # Errors
    /// [`Refusal::Meanwhile`] if it has to wait for another to end. Then it has not begun.
    pub(crate) async fn begin(
        &self,
        subject: &Subject,
        request: &Request<'_>,
        questions: &[Question],
        policy: &Policy,
    ) -> Result<(), Refusal> {
        let open = self.registrar().open_requests();
        open.begin(subject.principal(), questions, request.end_is_told());
        for repository in pulled(questions) {
            // Owners and members of teams are all that have more.
            if matches!(subject, Subject::User(_))
                && !self.may(&Subject::Daemon, repository, policy).await
            {
                self.delegations().begin(repository, subject);
            }
        }
        let problem = self.meanwhile(subject, questions, policy).await;
        if problem.is_err() {
            self.end(subject, request, questions);
        }
        problem
    }

    /// It has ended.
    pub(crate) fn end(&self, subject: &Subject, request: &Request<'_>, questions: &[Question]) {
        let open = self.registrar().open_requests();
        open.end(subject.principal(), questions, request.end_is_told());
        for repository in pulled(questions) {
            self.delegations().end(repository, subject);
        }
    }

    async fn meanwhile(
        &self,
        subject: &Subject,
        questions: &[Question],
        policy: &Policy,
    ) -> Result<(), Refusal> {
        if questions.contains(&Question::Local(LocalImage::Build)) {
            for repository in self.delegations().of_others(subject) {
                if !self.may(subject, &repository, policy).await {
                    return Err(Refusal::Meanwhile(format!(
                        "`{repository}` is pulled just now by somebody who may have it, and this build could begin with it"
                    )));
                }
            }
        }
        for repository in pulled(questions) {
            let delegated = self.delegations().users(repository).contains(subject);
            let open = self.registrar().open_requests();
            if delegated && open.has_build_of_another(subject.principal()) {
                return Err(Refusal::Meanwhile(format!(
                    "somebody else's build is under way, which could begin with `{repository}`"
                )));
            }
        }
        Ok(())
    }

    async fn may(&self, subject: &Subject, repository: &Repository, policy: &Policy) -> bool {
        let request = PolicyRequest {
            repository,
            action: Action::Pull,
            subject,
        };
        let decision = self.catalog().evaluate(policy, &request).await;
        matches!(decision, Decision::Allow(_))
    }
}

fn pulled(questions: &[Question]) -> impl Iterator<Item = &Repository> {
    questions.iter().filter_map(|question| {
        if let Question::Repository(repository, Action::Pull) = question {
            Some(repository)
        } else {
            None
        }
    })
}
