//! How a decision came about, for people: every name that was judged, and by what.

use super::Policy;
use crate::action::Action;
use crate::category::Category;
use crate::denial::{Denial, Reason};
use crate::hub::{Class, HubRules};
use crate::repository::Repository;
use crate::request::Request;
use crate::standing::{Categories, Standing};

/// One name that was judged: the one that was asked for, or an origin of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The name.
    pub repository: Repository,
    /// The rule by which it is an origin; `None` for the name that was asked for.
    pub origin: Option<String>,
    /// What it is on Docker Hub, where that matters.
    pub basis: Option<Basis>,
    /// The rule that allows it.
    pub outcome: Result<String, Denial>,
}

/// What a repository of Docker Hub is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// It is allowed whatever its category.
    Exempt,
    /// Its name says the category.
    Name(Category),
    /// What is known of its namespace says it.
    Namespace(Standing),
    /// Its category makes no difference.
    Indifferent,
}

// === impl Policy ===

impl Policy {
    /// How the decision on `request` comes about. Where the subject alone decides, there are no steps.
    #[must_use]
    pub fn explain(&self, request: &Request<'_>, categories: &dyn Categories) -> Vec<Step> {
        if !matches!(self.admit(request.subject), Ok(None)) {
            return Vec::new();
        }
        let named = request.repository;
        let teams = self.teams_of(request.subject);
        let own = self.mirrors.contains(named.registry());
        let step = |repository: &Repository, origin: Option<String>| Step {
            basis: self.basis(repository, request.action, &teams, categories),
            outcome: self
                .judge_tightly(repository, request.action, &teams, categories)
                .map(|rule| rule.as_str().to_owned()),
            repository: repository.clone(),
            origin,
        };
        let mut steps = Vec::new();
        if !own {
            steps.push(step(named, None));
        }
        if request.action == Action::Push && !own {
            return steps;
        }
        match self.origins.origins(named) {
            Ok(origins) => steps.extend(
                origins
                    .iter()
                    .map(|origin| step(&origin.repository, Some(origin.rule.to_string()))),
            ),
            Err(_) => steps.push(Step {
                repository: named.clone(),
                origin: Some("origins".to_owned()),
                basis: None,
                outcome: Err(self.deny(Reason::OriginUnclear(named.clone()))),
            }),
        }
        steps
    }

    fn basis(
        &self,
        repository: &Repository,
        action: Action,
        teams: &[&HubRules],
        categories: &dyn Categories,
    ) -> Option<Basis> {
        let managed =
            repository.registry().is_docker_hub() && (self.hub.is_some() || !teams.is_empty());
        if !managed || action == Action::Push {
            return None;
        }
        Some(
            match Class::of(self.hub.as_ref(), teams, repository, categories) {
                Class::Exempt(_) => Basis::Exempt,
                Class::Named(category) => Basis::Name(category),
                Class::Told(standing) => Basis::Namespace(standing),
                Class::Indifferent => Basis::Indifferent,
            },
        )
    }
}
