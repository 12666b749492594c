//! Image access management: which of Docker Hub's images.

use std::collections::HashSet;
use std::sync::Arc;

use crate::category::Category;
use crate::decision::RuleName;
use crate::official::is_official_name;
use crate::policy::file::{OfficialNames, Switch};
use crate::repository::{OFFICIAL_NAMESPACE, Repository};
use crate::scope::ScopeMap;
use crate::standing::{Categories, Doubt, Standing};

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

/// What a repository of Docker Hub is to the policy and the caller's teams.
#[derive(Clone, Debug)]
pub(crate) enum Class {
    /// Allowed whatever its category.
    Exempt(RuleName),
    /// Its name says the category.
    Named(Category),
    /// What is known of its namespace says it.
    Told(Standing),
    /// It makes no difference; counted as community.
    Indifferent,
}

/// Why `judge` allows nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotAllowed {
    /// The category that is not allowed.
    pub(crate) category: Category,
    /// Why it may be another one.
    pub(crate) doubt: Option<Doubt>,
}

// === impl Class ===

impl Class {
    pub(crate) fn of(
        base: Option<&HubRules>,
        teams: &[&HubRules],
        repository: &Repository,
        categories: &dyn Categories,
    ) -> Self {
        let rules = || base.into_iter().chain(teams.iter().copied());
        if let Some(rule) = rules().find_map(|rules| rules.exemption(repository)) {
            return Self::Exempt(rule);
        }
        let listed = rules().any(|rules| rules.official_names == OfficialNames::Listed);
        if let Some(category) = own_category(repository, listed) {
            return Self::Named(category);
        }
        let allows = |category| switch(base, teams, category) == Some(Switch::Allow);
        let community = allows(Category::Community);
        // Where all that it can be is the same, nobody need be asked what it is.
        if FOR_DOCKER_HUB_TO_SAY
            .iter()
            .any(|category| allows(*category) != community)
        {
            Self::Told(categories.standing(repository.namespace()))
        } else {
            Self::Indifferent
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
    categories: &dyn Categories,
) -> Result<RuleName, NotAllowed> {
    let (category, doubt) = match Class::of(base, teams, repository, categories) {
        Class::Exempt(rule) => return Ok(rule),
        Class::Named(category) => (category, None),
        Class::Told(standing) => (standing.category(), standing.doubt()),
        Class::Indifferent => (Category::Community, None),
    };
    if switch(base, teams, category) == Some(Switch::Allow) {
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
fn own_category(repository: &Repository, listed: bool) -> Option<Category> {
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
