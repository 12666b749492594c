//! What is asked of the policy.

use crate::action::Action;
use crate::repository::Repository;
use crate::subject::Subject;

/// A question to the policy: may `subject` do `action` with `repository`?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The repository, as named by the caller.
    pub repository: &'a Repository,
    /// What is done with it.
    pub action: Action,
    /// On whose behalf.
    pub subject: &'a Subject,
}
