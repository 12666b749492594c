//! Delegations: what the daemon fetches just now on behalf of a user who may have more than the daemon itself.
//!
//! The mirror serves the daemon and cannot know for whom it fetches. The plugin knows, while the request is open. So for that
//! long the mirror judges the repository that was asked for as the user's request, too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ramgate_policy::{Repository, Subject};

/// The delegations of one daemon. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Delegations {
    open: Arc<Mutex<Vec<Delegation>>>,
}

#[derive(Debug)]
struct Delegation {
    repository: Repository,
    user: Subject,
    begun: Instant,
}

// === impl Delegations ===

impl Delegations {
    /// The daemon begins to fetch from `repository` for `user`.
    pub fn begin(&self, repository: &Repository, user: &Subject) {
        self.lock().push(Delegation {
            repository: repository.clone(),
            user: user.clone(),
            begun: Instant::now(),
        });
    }

    /// One such request has ended.
    pub fn end(&self, repository: &Repository, user: &Subject) {
        let mut open = self.lock();
        let ended = |one: &Delegation| one.repository == *repository && one.user == *user;
        if let Some(ended) = open.iter().position(ended) {
            open.swap_remove(ended);
        }
    }

    /// No request is open any more: the daemon has started anew.
    pub fn forget(&self) {
        self.lock().clear();
    }

    /// For whom the daemon fetches from `repository`; mostly nobody.
    #[must_use]
    pub fn users(&self, repository: &Repository) -> Vec<Subject> {
        let open = self.lock();
        let of = open.iter().filter(|one| one.repository == *repository);
        of.map(|one| one.user.clone()).collect()
    }

    /// What is fetched for others than `user`: what somebody else's build could begin with.
    #[must_use]
    pub fn of_others(&self, user: &Subject) -> Vec<Repository> {
        let open = self.lock();
        let others = open.iter().filter(|one| one.user != *user);
        others.map(|one| one.repository.clone()).collect()
    }

    /// The open ones. dockerd does not say that a request has ended whose client went away, so each ends by itself as well.
    fn lock(&self) -> MutexGuard<'_, Vec<Delegation>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|one| one.begun.elapsed() < OPEN_MAX);
        open
    }
}

/// Longer than a pull takes.
const OPEN_MAX: Duration = Duration::from_mins(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delegation_is_one_user_s_for_one_repository_while_the_request_lasts() {
        let delegations = Delegations::default();
        let tool: Repository = "evil/tool".parse().unwrap();
        let other: Repository = "ghcr.io/evil/tool".parse().unwrap();
        let (alice, bob) = (Subject::User("alice".into()), Subject::User("bob".into()));
        assert_eq!(delegations.users(&tool), []);

        delegations.begin(&tool, &alice);
        delegations.begin(&tool, &alice);
        assert_eq!(
            delegations.clone().users(&tool),
            [alice.clone(), alice.clone()]
        );
        assert_eq!(delegations.users(&other), []);
        assert_eq!(delegations.of_others(&alice), []);
        assert_eq!(delegations.of_others(&bob), [tool.clone(), tool.clone()]);

        delegations.end(&tool, &bob);
        delegations.end(&tool, &alice);
        assert_eq!(delegations.users(&tool).len(), 1, "one is open yet");
        delegations.end(&tool, &alice);
        assert_eq!(delegations.users(&tool), []);

        delegations.begin(&tool, &bob);
        delegations.forget();
        assert_eq!(delegations.users(&tool), []);
    }
}
