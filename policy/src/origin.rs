//! Where the bytes of a name come from: the same image under another registry's name is still Docker Hub's.
//!
//! The list of well-known copies cannot be complete and need not be: under an allow-list an unknown host is refused anyway.
//! It matters for hosts that an administrator allows for their own content and that hand out others' as well.

use std::collections::HashMap;
use std::sync::Arc;

use crate::copies::{IN_PATH, KNOWN_COPIES};
use crate::host::{Host, Registry};
use crate::reference::InvalidReference;
use crate::repository::Repository;

/// What a name's prefix stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// A registry and, below it, a path that may be empty.
    Prefix(Registry, String),
    /// The rest begins with the host of the registry it comes from; without one it is Docker Hub's.
    RegistryInPath,
}

/// Names and the origins of what they serve.
#[derive(Clone, Debug)]
pub(crate) struct OriginMap {
    /// By registry: path prefixes (components, may be none) and what they stand for.
    prefixes: HashMap<Registry, Vec<Entry>>,
    /// By domain: what all of its hosts stand for.
    domains: HashMap<String, (Target, Arc<str>)>,
}

#[derive(Clone, Debug)]
struct Entry {
    prefix: String,
    target: Target,
    rule: Arc<str>,
}

/// An origin, and the rule that it was derived by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) repository: Repository,
    pub(crate) rule: Arc<str>,
}

/// The origins lead in a circle or too far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OriginUnclear;

// === impl OriginMap ===

impl OriginMap {
    pub(crate) fn built_in() -> Self {
        let mut map = Self {
            prefixes: HashMap::new(),
            domains: HashMap::new(),
        };
        for copy in KNOWN_COPIES {
            // A test fails on a row that does not parse.
            let target = match copy.origin {
                IN_PATH => Some(Target::RegistryInPath),
                origin => split_prefix(origin)
                    .ok()
                    .map(|(registry, path)| Target::Prefix(registry, path)),
            };
            let Some(target) = target else { continue };
            let rule = Arc::from(format!("built in: {}", copy.prefix));
            if let Some(domain) = copy.prefix.strip_prefix("*.") {
                map.domains.insert(domain.to_owned(), (target, rule));
            } else if let Ok((registry, prefix)) = split_prefix(copy.prefix) {
                map.add(registry, prefix, target, rule);
            }
        }
        map
    }

    /// Adds what an administrator wrote: `harbor.acme.example/hub/` stands for `docker.io/`.
    pub(crate) fn insert(
        &mut self,
        name: (Registry, String),
        origin: (Registry, String),
        rule: &str,
    ) {
        let target = Target::Prefix(origin.0, origin.1);
        self.add(name.0, name.1, target, Arc::from(rule));
    }

    /// Adds every host of a domain, whatever its path.
    pub(crate) fn insert_domain(&mut self, domain: &Host, origin: (Registry, String), rule: &str) {
        let target = Target::Prefix(origin.0, origin.1);
        self.domains
            .insert(domain.as_str().to_owned(), (target, Arc::from(rule)));
    }

    /// Adds an address of our own mirror.
    pub(crate) fn insert_mirror(&mut self, registry: Registry) {
        let rule = Arc::from("ramgate's mirror");
        self.add(registry, String::new(), Target::RegistryInPath, rule);
    }

    fn add(&mut self, registry: Registry, prefix: String, target: Target, rule: Arc<str>) {
        self.prefixes.entry(registry).or_default().push(Entry {
            prefix,
            target,
            rule,
        });
    }

    /// Every origin of `repository`, nearest first, without itself.
    pub(crate) fn origins(&self, repository: &Repository) -> Result<Vec<Origin>, OriginUnclear> {
        let mut found: Vec<Origin> = Vec::new();
        let mut next = self.direct(repository)?;
        while let Some(origin) = next.pop() {
            if origin.repository == *repository || found.len() >= CHAIN_LENGTH_MAX {
                return Err(OriginUnclear);
            }
            if !found
                .iter()
                .any(|known| known.repository == origin.repository)
            {
                next.extend(self.direct(&origin.repository)?);
                found.push(origin);
            }
        }
        Ok(found)
    }

    fn direct(&self, repository: &Repository) -> Result<Vec<Origin>, OriginUnclear> {
        let mut origins = Vec::new();
        let mut add = |target: &Target, rest: &str, rule: &Arc<str>| {
            origins.push(Origin {
                repository: target.resolve(rest).map_err(|_| OriginUnclear)?,
                rule: Arc::clone(rule),
            });
            Ok(())
        };
        let entries = self.prefixes.get(repository.registry());
        for entry in entries.into_iter().flatten() {
            if let Some(rest) = below(repository.path(), &entry.prefix) {
                add(&entry.target, rest, &entry.rule)?;
            }
        }
        // Any GitLab: <group…>/dependency_proxy/containers/<path>; source: GitLab docs, dependency proxy.
        if let Some((_, rest)) = repository
            .path()
            .split_once("/dependency_proxy/containers/")
        {
            let hub = Target::Prefix(Registry::docker_hub(), String::new());
            add(&hub, rest, &Arc::from(GITLAB))?;
        }
        for domain in repository.registry().host().parents() {
            if let Some((target, rule)) = self.domains.get(domain) {
                add(target, repository.path(), rule)?;
            }
        }
        Ok(origins)
    }
}

// === impl Target ===

impl Target {
    fn resolve(&self, rest: &str) -> Result<Repository, InvalidReference> {
        match self {
            Self::Prefix(registry, path) if path.is_empty() => {
                Repository::new(registry.clone(), rest)
            }
            Self::Prefix(registry, path) => {
                Repository::new(registry.clone(), &format!("{path}/{rest}"))
            }
            Self::RegistryInPath => match rest.split_once('/') {
                Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
                    Repository::new(host.parse()?, path)
                }
                Some(_) | None => Repository::new(Registry::docker_hub(), rest),
            },
        }
    }
}

/// What lies below `prefix` in `path`, ending at a component: `hub` covers `hub/x` and neither `hubs/x` nor `hub`.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() {
        return Some(path);
    }
    path.strip_prefix(prefix)?
        .strip_prefix('/')
        .filter(|rest| !rest.is_empty())
}

/// Reads `host[:port]/path/` as registry and path; the slash at the end may be left out.
pub(crate) fn split_prefix(text: &str) -> Result<(Registry, String), InvalidReference> {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let path = path.strip_suffix('/').unwrap_or(path);
    if !path.is_empty() {
        crate::reference::check_path(path)?;
    }
    Ok((host.parse()?, path.to_owned()))
}

/// Longer chains of origins are no chains but a mistake in the policy.
const CHAIN_LENGTH_MAX: usize = 8;

const GITLAB: &str = "built in: dependency_proxy/containers of any GitLab";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(map: &OriginMap, name: &str, expected: &[&str]) {
        let origins = map.origins(&name.parse().unwrap()).unwrap();
        assert_eq!(
            origins
                .iter()
                .map(|origin| origin.repository.to_string())
                .collect::<Vec<_>>(),
            expected,
            "{name}"
        );
    }

    #[test]
    fn well_known_copies_of_docker_hub_are_docker_hubs() {
        let map = OriginMap::built_in();
        check(&map, "mirror.gcr.io/alpine", &["docker.io/library/alpine"]);
        check(
            &map,
            "mirror.gcr.io/library/alpine",
            &["docker.io/library/alpine"],
        );
        check(&map, "mirror.gcr.io/evil/tool", &["docker.io/evil/tool"]);
        check(
            &map,
            "public.ecr.aws/docker/library/alpine",
            &["docker.io/library/alpine"],
        );
        check(&map, "public.ecr.aws/bitnami/redis", &[]);
        check(
            &map,
            "mcr.microsoft.com/mirror/docker/evil/tool",
            &["docker.io/evil/tool"],
        );
        check(&map, "mcr.microsoft.com/dotnet/sdk", &[]);
        check(
            &map,
            "m.daocloud.io/ghcr.io/acme/app",
            &["ghcr.io/acme/app"],
        );
        check(
            &map,
            "gitlab.acme.example/group/dependency_proxy/containers/evil/tool",
            &["docker.io/evil/tool"],
        );
        check(
            &map,
            "abc123.mirror.aliyuncs.com/library/alpine",
            &["docker.io/library/alpine"],
        );
        check(&map, "alpine", &[]);
    }

    #[test]
    fn every_row_of_the_table_is_read_and_no_prefix_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        for copy in KNOWN_COPIES {
            let prefix = copy.prefix.strip_prefix("*.").unwrap_or(copy.prefix);
            assert!(split_prefix(prefix).is_ok(), "{copy:?}");
            assert!(
                copy.origin == IN_PATH || split_prefix(copy.origin).is_ok(),
                "{copy:?}"
            );
            assert!(!copy.source.is_empty() && !copy.date.is_empty(), "{copy:?}");
            assert!(seen.insert(copy.prefix), "{copy:?}");
        }
    }

    #[test]
    fn origins_of_the_administrator_chain_and_end_at_a_component() {
        let mut map = OriginMap::built_in();
        let prefix = |text: &str| split_prefix(text).unwrap();
        map.insert(
            prefix("harbor.acme.example/hub/"),
            prefix("mirror.gcr.io/"),
            "origins",
        );
        check(
            &map,
            "harbor.acme.example/hub/evil/tool",
            &["mirror.gcr.io/evil/tool", "docker.io/evil/tool"],
        );
        check(&map, "harbor.acme.example/hubs/evil/tool", &[]);
        check(&map, "harbor.acme.example/own/app", &[]);
    }

    #[test]
    fn origins_in_a_circle_are_unclear() {
        let mut map = OriginMap::built_in();
        let prefix = |text: &str| split_prefix(text).unwrap();
        map.insert(prefix("a.example/"), prefix("b.example/"), "origins");
        map.insert(prefix("b.example/"), prefix("a.example/"), "origins");
        assert_eq!(
            map.origins(&"a.example/app".parse().unwrap()),
            Err(OriginUnclear)
        );
        map.insert(
            prefix("grow.example/"),
            prefix("grow.example/more/"),
            "origins",
        );
        assert_eq!(
            map.origins(&"grow.example/app".parse().unwrap()),
            Err(OriginUnclear)
        );
    }

    #[test]
    fn our_own_mirror_is_what_its_path_says() {
        let mut map = OriginMap::built_in();
        map.insert_mirror("127.0.0.1:5050".parse().unwrap());
        check(
            &map,
            "127.0.0.1:5050/library/alpine",
            &["docker.io/library/alpine"],
        );
        check(
            &map,
            "127.0.0.1:5050/ghcr.io/acme/app",
            &["ghcr.io/acme/app"],
        );
    }
}
