//! Requests that bring images and have not ended: who an image may be due to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ramgate_policy::{Action, LocalImage, Repository};

use super::lock;
use crate::engine::Happening;
use crate::question::Question;

/// The requests that were allowed, bring images and have not ended. Cloning it gives the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenRequests {
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    /// The oldest first.
    requests: VecDeque<OpenRequest>,
    /// When one was last dropped for want of room, and may be open yet: then nobody can be named.
    dropped: Option<Instant>,
}

#[derive(Debug)]
struct OpenRequest {
    principal: String,
    brings: Vec<Brings>,
    begun: Instant,
    /// Whether the engine says in time that it has ended. A connection that was handed over may stay open behind it.
    is_told: bool,
}

/// What a request brings.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Brings {
    Local(LocalImage),
    Pull(Repository),
}

// === impl OpenRequests ===

impl OpenRequests {
    /// A request of this principal was allowed.
    pub(crate) fn begin(&self, principal: &str, questions: &[Question], is_told: bool) {
        let brings = Brings::of(questions);
        if brings.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut open = lock(&self.open);
        // dockerd does not say that a request has ended whose client went away, or that another plugin denied.
        let is_over = |request: &OpenRequest| now - request.begun > OPEN_MAX;
        while open.requests.front().is_some_and(is_over) {
            open.requests.pop_front();
        }
        if open.requests.len() >= KEPT_MAX {
            open.requests.pop_front();
            open.dropped = Some(now);
        }
        open.requests.push_back(OpenRequest {
            principal: principal.to_owned(),
            brings,
            begun: now,
            is_told,
        });
    }

    /// It has ended, and what it brought was taken in.
    pub(crate) fn end(&self, principal: &str, questions: &[Question], is_told: bool) {
        let brings = Brings::of(questions);
        let requests = &mut lock(&self.open).requests;
        let ended = requests.iter().position(|request| {
            request.principal == principal && request.is_told == is_told && request.brings == brings
        });
        if let Some(ended) = ended {
            requests.remove(ended);
        }
    }

    /// On whose behalf something happened: whose request explains it, if nobody else's does as well.
    pub(super) fn explains(&self, happening: &Happening<'_>) -> Option<String> {
        let wanted = match happening {
            Happening::Pull(reference) => Brings::Pull(reference.parse().ok()?),
            Happening::Load(_) => Brings::Local(LocalImage::Load),
            Happening::Import(_) => Brings::Local(LocalImage::Import),
            Happening::Commit(_) => Brings::Local(LocalImage::Commit),
            Happening::Appear(_)
            | Happening::Delete(_)
            | Happening::Untag
            | Happening::Start(_)
            | Happening::Destroy(_)
            | Happening::Other => return None,
        };
        self.only(&wanted)
    }

    /// On whose behalf something was built.
    pub(super) fn builder(&self) -> Option<String> {
        self.only(&Brings::Local(LocalImage::Build))
    }

    /// Whether anybody else's build is under way, of those whose end the engine will tell.
    pub(crate) fn has_build_of_another(&self, principal: &str) -> bool {
        let open = lock(&self.open);
        let build = Brings::Local(LocalImage::Build);
        open.dropped.is_some_and(|at| at.elapsed() < OPEN_MAX)
            || open.requests.iter().any(|request| {
                request.principal != principal
                    && request.is_told
                    && request.begun.elapsed() < OPEN_MAX
                    && request.brings.contains(&build)
            })
    }

    fn only(&self, wanted: &Brings) -> Option<String> {
        let open = lock(&self.open);
        if open.dropped.is_some_and(|at| at.elapsed() < OPEN_MAX) {
            return None;
        }
        let mut explaining = open
            .requests
            .iter()
            .filter(|request| request.brings.contains(wanted))
            .map(|request| request.principal.as_str());
        let first = explaining.next()?;
        explaining
            .all(|principal| principal == first)
            .then(|| first.to_owned())
    }
}

// === impl Brings ===

impl Brings {
    fn of(questions: &[Question]) -> Vec<Self> {
        let brings = |question: &Question| match question {
            Question::Repository(repository, Action::Pull) => Some(Self::Pull(repository.clone())),
            Question::Local(kind) => Some(Self::Local(*kind)),
            Question::Repository(_, Action::Push | Action::Run)
            | Question::Image(_)
            | Question::Container(_)
            | Question::Plugin(_)
            | Question::PreviousService(_)
            | Question::Host(..)
            | Question::Registry(_)
            | Question::Http1
            | Question::Gates
            | Question::OwnPlugin => None,
        };
        questions.iter().filter_map(brings).collect()
    }
}

/// Far more than a host carries out at a time; each request that begins looks no further than at the oldest.
const KEPT_MAX: usize = 256;
/// Longer than a pull or build takes. Until then, one that was never said to have ended leaves others unnamed.
const OPEN_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(text: &str) -> Vec<Question> {
        vec![Question::Repository(text.parse().unwrap(), Action::Pull)]
    }

    #[test]
    fn an_image_is_due_to_whoever_alone_can_have_brought_it() {
        let open = OpenRequests::default();
        let alpine = Happening::Pull("alpine:3");
        assert_eq!(open.explains(&alpine), None, "the engine by itself");
        open.begin("alice", &pull("alpine"), true);
        open.begin("bob", &pull("ghcr.io/acme/app"), true);
        assert_eq!(open.explains(&alpine).as_deref(), Some("alice"));
        assert_eq!(open.explains(&Happening::Load("sha256:a")), None);

        open.begin("bob", &pull("alpine"), true);
        assert_eq!(open.explains(&alpine), None, "either of two");
        open.end("bob", &pull("alpine"), true);
        open.begin("alice", &pull("alpine"), true);
        assert_eq!(open.explains(&alpine).as_deref(), Some("alice"));
        open.end("alice", &pull("alpine"), true);
        assert_eq!(open.explains(&alpine).as_deref(), Some("alice"));
        open.end("alice", &pull("alpine"), true);
        assert_eq!(open.explains(&alpine), None);

        for _ in 0..=KEPT_MAX {
            open.begin("alice", &pull("alpine"), true);
        }
        assert_eq!(open.explains(&alpine), None, "one was dropped");
        let open = OpenRequests::default();

        let build = [Question::Local(LocalImage::Build)];
        open.begin("carol", &build, true);
        assert_eq!(open.builder().as_deref(), Some("carol"));
        open.begin("dave", &build, false);
        assert_eq!(open.builder(), None);

        assert!(open.has_build_of_another("dave"), "carol's");
        assert!(!open.has_build_of_another("carol"), "dave's may stay open");
        open.end("carol", &build, true);
        assert!(!open.has_build_of_another("alice"));
    }
}
