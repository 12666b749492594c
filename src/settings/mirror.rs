//! `mirror`: where it listens, what it fetches from and what it logs in with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ramgate_policy::Registry;

use super::check::Check;
use super::file::{LoginPart, MirrorPart, UpstreamPart};
use super::{Login, Mirror, Upstream, credentials, quantity};

// === impl Check ===

impl Check<'_> {
    pub(super) fn mirror(&mut self, part: &MirrorPart, state: Option<PathBuf>) -> Option<Mirror> {
        let listen = self.address(&part.listen, "mirror.listen");
        let storage = self.storage(part, state);
        let tag_ttl = self.read(quantity::duration(&part.tag_ttl), "mirror.tag-ttl");
        let stale_if_error = self.read(
            quantity::duration(&part.stale_if_error),
            "mirror.stale-if-error",
        );
        let max_size_bytes = self.max_size(part);
        let pins = self.pins(part);
        let absent_ttl = self.read(quantity::duration(&part.absent_ttl), "mirror.absent-ttl");
        let docker_config = part
            .docker_config
            .as_deref()
            .map(|path| self.path(path, "mirror.docker-config"));
        let mut logins = self.logins(&part.credentials);
        let upstreams = self.upstreams(&part.upstreams, &mut logins);
        Some(Mirror {
            listen: listen?,
            storage: storage?,
            max_size_bytes,
            pins,
            tag_ttl: tag_ttl?,
            stale_if_error: stale_if_error?,
            absent_ttl: absent_ttl?,
            upstreams,
            logins,
            docker_config: match docker_config {
                Some(path) => Some(path?),
                None => None,
            },
        })
    }

    /// The upstreams; what they log in with goes to the other `logins`.
    fn upstreams(
        &mut self,
        parts: &BTreeMap<String, UpstreamPart>,
        logins: &mut Vec<Login>,
    ) -> BTreeMap<Registry, Upstream> {
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in parts {
            let key = format!("mirror.upstreams.{name}");
            let registry = name
                .parse::<Registry>()
                .map_err(|error| format!("`{name}` is no registry: {error}"));
            let registry = self.read(registry, &key);
            let source = credentials::source(
                upstream.username.as_deref(),
                upstream.password_file.as_deref(),
                upstream.credential_helper.as_deref(),
            );
            let source = self.read(source, &key).flatten();
            logins.extend(
                registry
                    .clone()
                    .zip(source)
                    .map(|(registry, source)| Login {
                        registry,
                        path: None,
                        source,
                    }),
            );
            let upstream = self.upstream(upstream, &key);
            if let (Some(registry), Some(upstream)) = (registry, upstream)
                && upstreams.insert(registry, upstream).is_some()
            {
                self.report(
                    &key,
                    "this registry stands here under another spelling already",
                );
            }
        }
        upstreams
    }

    fn logins(&mut self, parts: &[LoginPart]) -> Vec<Login> {
        let mut logins: Vec<Login> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let key = format!("mirror.credentials[{index}]");
            let Some(login) = self.read(credentials::login(part), &key) else {
                continue;
            };
            let twice =
                |other: &Login| (&other.registry, &other.path) == (&login.registry, &login.path);
            if logins.iter().any(twice) {
                self.report(&key, "this prefix stands here already");
            }
            logins.push(login);
        }
        logins
    }

    fn upstream(&mut self, part: &UpstreamPart, key: &str) -> Option<Upstream> {
        let url = self.endpoint(&part.url, &format!("{key}.url"));
        let ca_file = match &part.ca_file {
            Some(file) => Some(self.path(file, &format!("{key}.ca-file"))?),
            None => None,
        };
        self.hosts(&part.token_realms, &format!("{key}.token-realms"));
        self.hosts(&part.redirect_hosts, &format!("{key}.redirect-hosts"));
        Some(Upstream {
            url: url?,
            ca_file,
            token_realms: part.token_realms.clone(),
            redirect_hosts: part.redirect_hosts.clone(),
        })
    }

    fn hosts(&mut self, hosts: &[String], key: &str) {
        for (index, host) in hosts.iter().enumerate() {
            let read = host
                .parse::<Registry>()
                .map_err(|error| format!("`{host}` is no host: {error}"));
            self.read(read, &format!("{key}[{index}]"));
        }
    }
}
