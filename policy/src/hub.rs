//! Image access management: which of Docker Hub's images.

use std::collections::HashSet;
use std::sync::Arc;

use crate::category::Category;
use crate::decision::RuleName;
use crate::policy::file::Switch;
use crate::repository::{OFFICIAL_NAMESPACE, Repository};
use crate::scope::ScopeMap;

/// What the policy, or one team's part of it, says of Docker Hub's images.
#[derive(Clone, Debug, Default)]
pub(crate) struct HubRules {
    pub(crate) organizations: HashSet<String>,
    pub(crate) repositories: ScopeMap<Arc<str>>,
    pub(crate) official: Option<Switch>,
    pub(crate) verified_publisher: Option<Switch>,
    pub(crate) sponsored_open_source: Option<Switch>,
    pub(crate) community: Option<Switch>,
}

// === impl HubRules ===

impl HubRules {
    /// The rule that allows `repository` whatever its category.
    pub(crate) fn exemption(&self, repository: &Repository) -> Option<RuleName> {
        if self.organizations.contains(repository.namespace()) {
            return Some(RuleName::Fixed("docker-hub.organizations"));
        }
        let covering = self.repositories.covering(repository.path());
        covering
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, rule)| RuleName::Written(Arc::clone(rule)))
    }

    pub(crate) const fn switch(&self, category: Category) -> Option<Switch> {
        match category {
            Category::Official => self.official,
            Category::VerifiedPublisher => self.verified_publisher,
            Category::SponsoredOpenSource => self.sponsored_open_source,
            Category::Community => self.community,
        }
    }
}

/// Applies the rules of the policy and of the caller's teams.
///
/// Returns the rule that allows, or the category that is not allowed. Where teams differ, deny wins; what no team says, the
/// policy says; what nobody says is denied.
pub(crate) fn judge(
    base: Option<&HubRules>,
    teams: &[&HubRules],
    repository: &Repository,
) -> Result<RuleName, Category> {
    let rules = || base.into_iter().chain(teams.iter().copied());
    if let Some(rule) = rules().find_map(|rules| rules.exemption(repository)) {
        return Ok(rule);
    }
    let category = category_of(repository);
    let said = || teams.iter().filter_map(|team| team.switch(category));
    let switch = match (said().any(|switch| switch == Switch::Deny), said().next()) {
        (true, _) => Some(Switch::Deny),
        (false, Some(switch)) => Some(switch),
        (false, None) => base.and_then(|base| base.switch(category)),
    };
    match switch {
        Some(Switch::Allow) => Ok(RuleName::Fixed(category.rule())),
        Some(Switch::Deny) | None => Err(category),
    }
}

/// What is known without asking Docker Hub: its official namespace. All else is community.
fn category_of(repository: &Repository) -> Category {
    if repository.namespace() == OFFICIAL_NAMESPACE {
        Category::Official
    } else {
        Category::Community
    }
}
