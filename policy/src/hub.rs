//! Image access management: which of Docker Hub's images.

use std::collections::HashSet;
use std::sync::Arc;

use crate::category::Category;
use crate::decision::RuleName;
use crate::official::is_official_name;
use crate::policy::file::{OfficialNames, Switch};
use crate::repository::{OFFICIAL_NAMESPACE, Repository};
use crate::scope::ScopeMap;
use crate::standing::{Categories, Doubt};

/// What the policy, or one team's part of it, says of Docker Hub's images.
#[derive(Clone, Debug, Default)]
pub(crate) struct HubRules {
    pub(crate) organizations: HashSet<String>,
    pub(crate) repositories: ScopeMap<Arc<str>>,
    pub(crate) official: Option<Switch>,
    pub(crate) verified_publisher: Option<Switch>,
    pub(crate) sponsored_open_source: Option<Switch>,
    pub(crate) community: Option<Switch>,
    pub(crate) official_names: OfficialNames,
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

/// Why `judge` allows nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotAllowed {
    /// The category that is not allowed.
    pub(crate) category: Category,
    /// Why it may be another one.
    pub(crate) doubt: Option<Doubt>,
}

/// Applies the rules of the policy and of the caller's teams.
///
/// Returns the rule that allows, or the category that is not allowed. Where teams differ, deny wins; what no team says, the
/// policy says; what nobody says is denied.
pub(crate) fn judge(
    base: Option<&HubRules>,
    teams: &[&HubRules],
    repository: &Repository,
    categories: &dyn Categories,
) -> Result<RuleName, NotAllowed> {
    let rules = || base.into_iter().chain(teams.iter().copied());
    if let Some(rule) = rules().find_map(|rules| rules.exemption(repository)) {
        return Ok(rule);
    }
    let allows = |category| switch(base, teams, category) == Some(Switch::Allow);
    let listed = rules().any(|rules| rules.official_names == OfficialNames::Listed);
    let (category, doubt) = if let Some(category) = own_category(repository, listed) {
        (category, None)
    } else {
        let community = allows(Category::Community);
        // Where all that it can be is the same, nobody need be asked what it is.
        let matters = FOR_DOCKER_HUB_TO_SAY
            .iter()
            .any(|category| allows(*category) != community);
        if matters {
            let standing = categories.standing(repository.namespace());
            (standing.category(), standing.doubt())
        } else {
            (Category::Community, None)
        }
    };
    if allows(category) {
        Ok(RuleName::Fixed(category.rule()))
    } else {
        Err(NotAllowed { category, doubt })
    }
}

fn switch(base: Option<&HubRules>, teams: &[&HubRules], category: Category) -> Option<Switch> {
    let said = || teams.iter().filter_map(|team| team.switch(category));
    match (said().any(|switch| switch == Switch::Deny), said().next()) {
        (true, _) => Some(Switch::Deny),
        (false, Some(switch)) => Some(switch),
        (false, None) => base.and_then(|base| base.switch(category)),
    }
}

/// What the name itself says: the namespace `library` is official, whole or as far as it is `listed`.
pub(crate) fn own_category(repository: &Repository, listed: bool) -> Option<Category> {
    let name = repository
        .path()
        .strip_prefix(OFFICIAL_NAMESPACE)?
        .strip_prefix('/')?;
    if listed && !is_official_name(name) {
        Some(Category::Community)
    } else {
        Some(Category::Official)
    }
}

/// What a namespace other than `library` can be besides community.
const FOR_DOCKER_HUB_TO_SAY: [Category; 2] =
    [Category::VerifiedPublisher, Category::SponsoredOpenSource];
