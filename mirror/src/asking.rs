//! One question for all that ask the same at once: a manifest that is not in memory is looked for by one task, whoever waits for it.
//! That a client leaves does not stop it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use ramgate_policy::{Permit, Policy, Repository};

use crate::answer::Unserved;
use crate::manifests::Found;
use crate::mirror::Mirror;
use crate::path::Pointer;

/// The questions that are being answered.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    under_way: Mutex<HashMap<Question, Answer>>,
}

/// What is asked, and by which policy: where an upstream may redirect to is for the policy to say, so nobody waits for what was begun
/// under another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    repository: Repository,
    pointer: Pointer,
    /// The address of the policy, which lives for as long as the question does.
    policy: usize,
}

type Answer = Shared<BoxFuture<'static, Result<Found, Arc<Unserved>>>>;

/// The end of a question, whichever way: nobody waits for it any more.
struct Answered {
    mirror: Mirror,
    question: Question,
}

// === impl Asking ===

impl Asking {
    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Answer>> {
        // Each change is one step, so the map is right whatever became of who held it.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Answered ===

impl Drop for Answered {
    fn drop(&mut self) {
        self.mirror.memory().asking.lock().remove(&self.question);
    }
}

// === impl Mirror ===

impl Mirror {
    /// Looks for a manifest of the permitted repository, or waits for who is at it.
    pub(crate) async fn asked_once(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        pointer: &Pointer,
    ) -> Result<Found, Unserved> {
        let question = Question {
            repository: permit.repository().clone(),
            pointer: pointer.clone(),
            policy: Arc::as_ptr(policy).addr(),
        };
        let answer = {
            let mut under_way = self.memory().asking.lock();
            match under_way.get(&question) {
                Some(answer) => Some(answer.clone()),
                None if under_way.len() >= QUESTIONS_MAX => None,
                None => {
                    let answer = self.ask(permit.clone(), Arc::clone(policy), question.clone());
                    under_way.insert(question, answer.clone());
                    Some(answer)
                }
            }
        };
        match answer {
            Some(answer) => answer.await.map_err(Unserved::Shared),
            // Clients ask and leave. What is asked for above this ends with who asks.
            None => self.present_manifest(permit, policy, pointer).await,
        }
    }

    fn ask(&self, permit: Permit, policy: Arc<Policy>, question: Question) -> Answer {
        let mirror = self.clone();
        let task = tokio::spawn(async move {
            let answered = Answered { mirror, question };
            let (mirror, pointer) = (&answered.mirror, &answered.question.pointer);
            let found = mirror.present_manifest(&permit, &policy, pointer).await;
            mirror.note_absence(&permit, pointer, &found);
            found
        });
        async {
            let ended = task.await.map_err(io::Error::other);
            ended.map_err(Unserved::Store).flatten().map_err(Arc::new)
        }
        .boxed()
        .shared()
    }
}

/// Tasks that go on without anybody who waits for them. A busy host has some tens.
const QUESTIONS_MAX: usize = 1_000;
