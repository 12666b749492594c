//! Registry access management: which registries, which of their repositories, and what may be done with them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::action::{Action, Right};
use crate::host::{DEFAULT_PORT, Host, InvalidHost, Registry, split_port};
use crate::repository::Repository;
use crate::scope::{Glob, ScopeMap, Specificity};
use crate::via::Via;

/// `host[:port]` or `*.domain[:port]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RegistryPattern {
    /// One registry.
    Exact(Registry),
    /// Every host below a domain, at a port.
    Below(Host, u16),
}

/// The allow-list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registries {
    exact: HashMap<Registry, ScopeMap<Arc<Rule>>>,
    below: HashMap<(String, u16), ScopeMap<Arc<Rule>>>,
    /// Domains in `below`, so that hosts without a wildcard over them cost one look-up a label.
    domains: HashSet<String>,
    /// Which way to take, where an entry says so.
    vias: HashMap<RegistryPattern, Via>,
}

/// One entry of the allow-list.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// For logs: `registries[ghcr.io]`.
    pub(crate) name: Arc<str>,
    /// Where it stands in the list.
    pub(crate) index: usize,
    pub(crate) pull: bool,
    pub(crate) push: bool,
}

/// What the allow-list says of a repository.
#[derive(Clone, Debug)]
pub(crate) enum Listing<'a> {
    /// The registry is not on it.
    NoRegistry,
    /// The registry is, the repository is not.
    NoRepository,
    /// The closest rule, and whether it gives the right.
    Listed(&'a Arc<Rule>, bool),
}

/// How closely a rule covers a repository: by host, by repository, and last whether it denies.
type Closeness = (usize, Specificity, bool);

// === impl Rule ===

impl Rule {
    const fn gives(&self, right: Right) -> bool {
        match right {
            Right::Pull => self.pull,
            Right::Push => self.push,
        }
    }
}

// === impl RegistryPattern ===

impl RegistryPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidHost> {
        match text.strip_prefix("*.") {
            Some(domain) => {
                let (domain, port) = split_port(domain)?;
                Ok(Self::Below(domain.parse()?, port.unwrap_or(DEFAULT_PORT)))
            }
            None => text.parse().map(Self::Exact),
        }
    }

    /// Whether every registry of `other` is one of these.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let Self::Below(domain, port) = self else {
            return self == other;
        };
        let (host, at) = match other {
            Self::Exact(registry) => (registry.host(), registry.port()),
            Self::Below(host, _) if host == domain => return self == other,
            Self::Below(host, at) => (host, *at),
        };
        let before = host.as_str().strip_suffix(domain.as_str());
        at == *port && before.is_some_and(|before| before.ends_with('.'))
    }
}

// === impl Registries ===

impl Registries {
    /// Lists repositories of a registry. Gives the patterns that stood in the list for the same registry before, each with where.
    pub(crate) fn insert(
        &mut self,
        host: RegistryPattern,
        globs: Vec<Glob>,
        rule: &Arc<Rule>,
    ) -> Vec<(String, usize)> {
        let scopes = match host {
            RegistryPattern::Exact(registry) => self.exact.entry(registry).or_default(),
            RegistryPattern::Below(domain, port) => {
                let domain = domain.as_str();
                self.domains.insert(domain.to_owned());
                self.below.entry((domain.to_owned(), port)).or_default()
            }
        };
        let mut twice = Vec::new();
        for glob in globs {
            if let Some(before) = scopes.insert(glob.clone(), Arc::clone(rule)) {
                twice.push((glob.as_str().to_owned(), before.index));
            }
        }
        twice
    }

    /// The closest scope wins: host first, then repository; where two are equally close, the one that denies.
    pub(crate) fn listing(&self, repository: &Repository, action: Action) -> Listing<'_> {
        let right = action.right();
        let mut known = false;
        let mut closest: Option<(Closeness, &Arc<Rule>)> = None;
        for (host_closeness, scopes) in self.scopes(repository.registry()) {
            known = true;
            // The map is asked for the path's rules only; which of them is closest is decided here.
            for (closeness, rule) in scopes.covering(repository.path()) {
                let key = (host_closeness, closeness, !rule.gives(right));
                if closest.is_none_or(|(best, _)| key > best) {
                    closest = Some((key, rule));
                }
            }
        }
        match closest {
            Some(((_, _, denies), rule)) => Listing::Listed(rule, !denies),
            None if known => Listing::NoRepository,
            None => Listing::NoRegistry,
        }
    }

    /// Notes the way to `host`; gives the one that stood there before, if it is another.
    pub(crate) fn steer(&mut self, host: &RegistryPattern, via: Via) -> Option<Via> {
        let before = self.vias.insert(host.clone(), via);
        before.filter(|before| *before != via)
    }

    /// The way that the closest entry for `registry` says.
    pub(crate) fn via(&self, registry: &Registry) -> Option<Via> {
        // Most policies say none, and then a decision makes no copy for it.
        if self.vias.is_empty() {
            return None;
        }
        self.way(&RegistryPattern::Exact(registry.clone()))
    }

    /// The way that the closest entry says which covers `host`.
    pub(crate) fn way(&self, host: &RegistryPattern) -> Option<Via> {
        if self.vias.is_empty() {
            return None;
        }
        if let Some(via) = self.vias.get(host) {
            return Some(*via);
        }
        let (name, port) = match host {
            RegistryPattern::Exact(registry) => (registry.host().clone(), registry.port()),
            RegistryPattern::Below(domain, port) => (domain.clone(), *port),
        };
        let mut below = name.parents().filter_map(|domain| domain.parse().ok());
        below.find_map(|domain| {
            self.vias
                .get(&RegistryPattern::Below(domain, port))
                .copied()
        })
    }

    /// Every host, and every domain below which hosts are, that an entry names.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = Host> {
        let exact = self.exact.keys().map(|registry| registry.host().clone());
        let below = self.domains.iter().filter_map(|domain| domain.parse().ok());
        exact.chain(below)
    }

    /// Every registry that an entry names by itself.
    pub(crate) fn exact(&self) -> impl Iterator<Item = &Registry> {
        self.exact.keys()
    }

    /// A rule that names the registry, whatever the repository.
    pub(crate) fn lists(&self, registry: &Registry) -> bool {
        self.scopes(registry).next().is_some()
    }

    fn scopes<'a, 'r>(
        &'a self,
        registry: &'r Registry,
    ) -> impl Iterator<Item = (usize, &'a ScopeMap<Arc<Rule>>)> + use<'a, 'r> {
        let exact = self.exact.get(registry).map(|scopes| (usize::MAX, scopes));
        let below = registry
            .host()
            .parents()
            .filter(|domain| self.domains.contains(*domain))
            .filter_map(|domain| {
                self.below
                    .get(&(domain.to_owned(), registry.port()))
                    .map(|scopes| (domain.len(), scopes))
            });
        exact.into_iter().chain(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_rules_that_are_equally_close_the_one_that_denies_counts() {
        let pull = ("a/b*", true);
        let push = ("a/b*a", false);
        for order in [[pull, push], [push, pull]] {
            let mut registries = Registries::default();
            for (index, (pattern, pull)) in order.into_iter().enumerate() {
                let rule = Arc::new(Rule {
                    name: Arc::from(pattern),
                    index,
                    pull,
                    push: !pull,
                });
                let host = RegistryPattern::parse("ghcr.io").unwrap();
                let twice = registries.insert(host, vec![Glob::parse(pattern).unwrap()], &rule);
                assert!(twice.is_empty());
            }
            let listed = |path: &str, action| {
                let repository = format!("ghcr.io/{path}").parse().unwrap();
                match registries.listing(&repository, action) {
                    Listing::Listed(rule, given) => (rule.name.to_string(), given),
                    Listing::NoRegistry | Listing::NoRepository => panic!("{path} is not listed"),
                }
            };
            assert_eq!(listed("a/ba", Action::Pull), ("a/b*a".to_owned(), false));
            assert_eq!(listed("a/ba", Action::Push), ("a/b*".to_owned(), false));
            assert_eq!(listed("a/bc", Action::Pull), ("a/b*".to_owned(), true));
        }
    }
}
