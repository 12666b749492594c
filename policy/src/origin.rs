//! Where the bytes of a name come from: the same image under another registry's name is still Docker Hub's.
//!
//! The list of well-known copies cannot be complete and need not be: under an allow-list an unknown host is refused anyway.
//! It matters for hosts that an administrator allows for their own content and that hand out others' as well.

use std::collections::HashMap;

use crate::host::Registry;
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
    prefixes: HashMap<Registry, Vec<(String, Target)>>,
}

/// The origins lead in a circle or too far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OriginUnclear;

// === impl OriginMap ===

impl OriginMap {
    pub(crate) fn built_in() -> Self {
        let mut map = Self {
            prefixes: HashMap::new(),
        };
        let hub = || Target::Prefix(Registry::docker_hub(), String::new());
        for host in DOCKER_HUB_COPIES {
            map.insert_text(host, hub());
        }
        for (name, origin) in COPIES {
            if let Ok((registry, path)) = split_prefix(origin) {
                map.insert_text(name, Target::Prefix(registry, path));
            }
        }
        for host in REGISTRY_IN_PATH {
            map.insert_text(host, Target::RegistryInPath);
        }
        map
    }

    /// Adds what an administrator wrote: `harbor.acme.example/hub/` stands for `docker.io/`.
    pub(crate) fn insert(&mut self, name: (Registry, String), origin: (Registry, String)) {
        self.prefixes
            .entry(name.0)
            .or_default()
            .push((name.1, Target::Prefix(origin.0, origin.1)));
    }

    /// Adds an address of our own mirror.
    pub(crate) fn insert_mirror(&mut self, registry: Registry) {
        self.prefixes
            .entry(registry)
            .or_default()
            .push((String::new(), Target::RegistryInPath));
    }

    fn insert_text(&mut self, name: &str, target: Target) {
        // The tables below are read by a test, which fails on an entry that does not parse.
        if let Ok((registry, path)) = split_prefix(name) {
            self.prefixes
                .entry(registry)
                .or_default()
                .push((path, target));
        }
    }

    /// Every origin of `repository`, nearest first, without itself.
    pub(crate) fn origins(
        &self,
        repository: &Repository,
    ) -> Result<Vec<Repository>, OriginUnclear> {
        let mut found: Vec<Repository> = Vec::new();
        let mut next = self.direct(repository)?;
        while let Some(origin) = next.pop() {
            if origin == *repository || found.len() >= CHAIN_LENGTH_MAX {
                return Err(OriginUnclear);
            }
            if !found.contains(&origin) {
                next.extend(self.direct(&origin)?);
                found.push(origin);
            }
        }
        Ok(found)
    }

    fn direct(&self, repository: &Repository) -> Result<Vec<Repository>, OriginUnclear> {
        let mut origins = Vec::new();
        for (prefix, target) in self
            .prefixes
            .get(repository.registry())
            .into_iter()
            .flatten()
        {
            if let Some(rest) = below(repository.path(), prefix) {
                origins.push(target.resolve(rest).map_err(|_| OriginUnclear)?);
            }
        }
        // Any GitLab: <group…>/dependency_proxy/containers/<path>; source: GitLab docs, dependency proxy.
        if let Some((_, rest)) = repository
            .path()
            .split_once("/dependency_proxy/containers/")
        {
            origins.push(Repository::new(Registry::docker_hub(), rest).map_err(|_| OriginUnclear)?);
        }
        if repository
            .registry()
            .host()
            .parents()
            .any(|domain| DOCKER_HUB_COPY_DOMAINS.contains(&domain))
        {
            origins.push(
                Repository::new(Registry::docker_hub(), repository.path())
                    .map_err(|_| OriginUnclear)?,
            );
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

/// Hosts that serve Docker Hub's repositories under their own paths. As seen in public Dockerfiles and in the operators'
/// own pages, August 2026; the short-lived ones are there because a list too long does no harm.
const DOCKER_HUB_COPIES: [&str; 24] = [
    "mirror.gcr.io",
    "docker.m.daocloud.io",
    "dhub.kubesre.xyz",
    "cr.yandex/mirror",
    "dockerhub.timeweb.cloud",
    "dockerhub1.beget.com",
    "huecker.io",
    "docker.mirrors.ustc.edu.cn",
    "hub-mirror.c.163.com",
    "registry.docker-cn.com",
    "dockerhub.azk8s.cn",
    "mirror.baidubce.com",
    "docker.nju.edu.cn",
    "docker.mirrors.sjtug.sjtu.edu.cn",
    "mirror.iscas.ac.cn",
    "mirror.ccs.tencentyun.com",
    "docker.1ms.run",
    "docker.1panel.live",
    "hub.rat.dev",
    "docker.xuanyuan.me",
    "dockerproxy.com",
    "dockerproxy.net",
    "dockerpull.org",
    "mcr.microsoft.com/mirror/docker",
];

/// Domains of which each host serves Docker Hub's repositories.
const DOCKER_HUB_COPY_DOMAINS: [&str; 2] = ["mirror.aliyuncs.com", "mirror.swr.myhuaweicloud.com"];

/// Prefixes that stand for other registries.
const COPIES: [(&str, &str); 10] = [
    // Amazon ECR Public's copy of Docker Official Images.
    ("public.ecr.aws/docker/library", "docker.io/library"),
    ("ghcr.m.daocloud.io", "ghcr.io"),
    ("quay.m.daocloud.io", "quay.io"),
    ("gcr.m.daocloud.io", "gcr.io"),
    ("k8s.m.daocloud.io", "registry.k8s.io"),
    ("mcr.m.daocloud.io", "mcr.microsoft.com"),
    ("nvcr.m.daocloud.io", "nvcr.io"),
    ("gcr.nju.edu.cn", "gcr.io"),
    ("quay.nju.edu.cn", "quay.io"),
    ("quay.mirrors.ustc.edu.cn", "quay.io"),
];

/// Hosts whose paths begin with the registry they copy.
const REGISTRY_IN_PATH: [&str; 2] = ["m.daocloud.io", "kubesre.xyz"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(map: &OriginMap, name: &str, expected: &[&str]) {
        let origins = map.origins(&name.parse().unwrap()).unwrap();
        assert_eq!(
            origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
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
    fn every_entry_of_the_tables_is_read() {
        let entries = DOCKER_HUB_COPIES
            .iter()
            .chain(&REGISTRY_IN_PATH)
            .chain(COPIES.iter().flat_map(|(a, b)| [a, b]));
        for entry in entries {
            assert!(split_prefix(entry).is_ok(), "{entry}");
        }
    }

    #[test]
    fn origins_of_the_administrator_chain_and_end_at_a_component() {
        let mut map = OriginMap::built_in();
        let prefix = |text: &str| split_prefix(text).unwrap();
        map.insert(prefix("harbor.acme.example/hub/"), prefix("mirror.gcr.io/"));
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
        map.insert(prefix("a.example/"), prefix("b.example/"));
        map.insert(prefix("b.example/"), prefix("a.example/"));
        assert_eq!(
            map.origins(&"a.example/app".parse().unwrap()),
            Err(OriginUnclear)
        );
        map.insert(prefix("grow.example/"), prefix("grow.example/more/"));
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
