//! On whose behalf a repository is asked for: the daemon's, and while a user's pull lasts who may have more, also that user's.

use std::collections::BTreeSet;

use ramgate_policy::{
    Action, Decision, Denial, Grant, Permit, Policy, Repository, Request, Subject,
};

use crate::mirror::Mirror;

// === impl Mirror ===

impl Mirror {
    /// Whether somebody may pull from `repository` for whom the daemon asks now.
    ///
    /// # Errors
    /// The denial of the daemon itself, if nobody may.
    pub(crate) async fn admit_pull(
        &self,
        repository: &Repository,
        policy: &Policy,
    ) -> Result<Permit, Denial> {
        let ask = async |subject: &Subject| {
            let request = Request {
                repository,
                action: Action::Pull,
                subject,
            };
            match self.catalog().evaluate(policy, &request).await {
                Decision::Allow(permit) => Ok(permit),
                Decision::Deny(denial) => Err(denial),
            }
        };
        let denial = match ask(&Subject::Daemon).await {
            Err(denial) => denial,
            permitted => return permitted,
        };
        for user in self.config().delegations.users(repository) {
            if let Ok(permit) = ask(&user).await {
                return Ok(permit);
            }
        }
        Err(denial)
    }

    /// Whether `subject` may have content under the name `named`, where `known` have it, too; if it is the daemon, also whether
    /// somebody may for whom it asks now.
    ///
    /// # Errors
    /// The denial of `subject` itself, if nobody may.
    pub(crate) async fn admit_copy(
        &self,
        named: &Repository,
        known: &BTreeSet<Repository>,
        policy: &Policy,
        subject: &Subject,
    ) -> Result<Option<Grant>, Denial> {
        let ask = async |subject: &Subject| {
            let catalog = self.catalog();
            catalog
                .settle(|categories| policy.evaluate_copy(named, known, subject, categories))
                .await
        };
        let denial = match ask(subject).await {
            Err(denial) if *subject == Subject::Daemon => denial,
            decided => return decided,
        };
        for user in self.config().delegations.users(named) {
            if let Ok(grant) = ask(&user).await {
                return Ok(grant);
            }
        }
        Err(denial)
    }
}
