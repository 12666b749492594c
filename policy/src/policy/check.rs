//! From the file as written to the policy in force: every mistake is found, and there is no way round.

use std::collections::HashSet;
use std::sync::Arc;

use super::file::{DockerHubFile, PolicyFile, RegistryFile};
use super::{Policy, Team};
use crate::action::Right;
use crate::document::{Document, Finding, Findings};
use crate::host::{DEFAULT_PORT, InvalidHost, Registry};
use crate::hosts::{Hosts, WEB_PORTS};
use crate::hub::HubRules;
use crate::known_hosts;
use crate::origin::{OriginMap, split_prefix};
use crate::reference::check_path;
use crate::registries::{Registries, RegistryPattern, Rule};
use crate::registry_hosts::RegistryHosts;
use crate::repository::OFFICIAL_NAMESPACE;
use crate::scope::Glob;
use crate::via::Via;

pub(super) fn policy(text: &str) -> Result<Policy, Findings> {
    let mut document = Document::<PolicyFile>::read(text)?;
    // A hundred thousand of them are not kept twice.
    let registries = document.value.registries.take();
    let find = |key: &str, problem: String| document.finding(key, problem);
    let mut check = Check::new(&find);
    let policy = check.policy(&document.value, registries);
    Findings::none_of(check.findings)?;
    Ok(policy)
}

/// A check of one document.
pub(super) struct Check<'a> {
    /// A finding at a key of the document.
    find: &'a dyn Fn(&str, String) -> Finding,
    findings: Vec<Finding>,
    hosts: Hosts,
    registry_hosts: RegistryHosts,
}

// === impl Check ===

impl<'a> Check<'a> {
    pub(super) fn new(find: &'a dyn Fn(&str, String) -> Finding) -> Self {
        Self {
            find,
            findings: Vec::new(),
            hosts: Hosts::default(),
            registry_hosts: RegistryHosts::default(),
        }
    }

    /// The hosts that the registries need, if there are no findings.
    pub(super) fn finish(self) -> Result<RegistryHosts, Findings> {
        Findings::none_of(self.findings)?;
        Ok(self.registry_hosts)
    }

    pub(super) fn version(&mut self, version: u64) {
        if version != VERSION {
            self.report(
                "version",
                format!("this ramgate reads version {VERSION}, not {version}"),
            );
        }
    }

    fn policy(&mut self, file: &PolicyFile, registries: Option<Vec<RegistryFile>>) -> Policy {
        self.version(file.version);
        if let Some(contact) = &file.contact {
            // It ends up in an HTTP reason phrase, where a line break would end the header.
            let printable =
                !contact.trim().is_empty() && contact.chars().all(|letter| !letter.is_control());
            self.require(printable && contact.len() <= CONTACT_LENGTH_MAX, "contact", || {
                format!("a contact is one line of at most {CONTACT_LENGTH_MAX} bytes, without control characters")
            });
        }
        let registries = registries.map(|registries| self.registries(registries));
        let hub = file
            .docker_hub
            .as_ref()
            .map(|hub| self.hub(hub, "docker-hub"));
        let origins = self.origins(file);
        let rule = Arc::from("egress.hosts");
        for (index, host) in file.egress.hosts.iter().enumerate() {
            let inserted = self.hosts.insert(host, &WEB_PORTS, &rule);
            self.host(host, inserted, &format!("egress.hosts[{index}]"));
        }
        let teams = self.teams(file);
        self.names(&file.subjects.owners, "subjects.owners");
        Policy {
            mode: file.mode,
            contact: file.contact.as_deref().map(Arc::from),
            registries,
            hub,
            origins,
            origins_by_digest: file.origins_by_digest,
            mirrors: HashSet::new(),
            local: file.local_images.clone(),
            written_local: file.local_images.clone(),
            written_identity: file.subjects.require_identity,
            drop_ins: Vec::new(),
            watch: file.watch,
            hosts: std::mem::take(&mut self.hosts),
            containers: file.egress.containers,
            registry_hosts: std::mem::take(&mut self.registry_hosts),
            owners: file.subjects.owners.iter().cloned().collect(),
            require_identity: file.subjects.require_identity,
            teams,
        }
    }

    pub(super) fn registries(&mut self, files: Vec<RegistryFile>) -> Registries {
        let mut registries = Registries::default();
        // The ways first: a host goes one, whichever of its entries says so, and so do those that a wildcard covers.
        let hosts = self.registry_hosts_of(&files, &mut registries);
        for (index, (file, host)) in files.into_iter().zip(hosts).enumerate() {
            let Some(host) = host else {
                continue;
            };
            let key = format!("registries[{index}]");
            let via = registries.way(&host);
            let globs = self.globs(file.repositories.as_deref(), &format!("{key}.repositories"));
            let rights = file.actions.unwrap_or_else(|| vec![Right::Pull]);
            self.require(!rights.is_empty(), &format!("{key}.actions"), || {
                "an empty list allows nothing; leave the registry out, or the key".to_owned()
            });
            let name: Arc<str> = Arc::from(format!("registries[{}]", file.host));
            for (at, redirect) in file.redirect_hosts.iter().enumerate() {
                let hosts = self.registry_hosts.of(via);
                let inserted = hosts.insert(redirect, &[DEFAULT_PORT], &name);
                self.host(redirect, inserted, &format!("{key}.redirect-hosts[{at}]"));
            }
            self.known_hosts(&host, via, &name);
            let rule = Rule {
                name,
                index,
                pull: rights.contains(&Right::Pull),
                push: rights.contains(&Right::Push),
            };
            for (scope, first) in registries.insert(host, globs, &Arc::new(rule)) {
                self.report(
                    &key,
                    format!(
                        "`{}` with `{scope}` stands in registries[{first}] already; join the two",
                        file.host
                    ),
                );
            }
        }
        registries
    }

    /// The host of each entry that has a valid one; and its way, noted in `registries`.
    fn registry_hosts_of(
        &mut self,
        files: &[RegistryFile],
        registries: &mut Registries,
    ) -> Vec<Option<RegistryPattern>> {
        let mut hosts = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            let key = format!("registries[{index}]");
            let host = match RegistryPattern::parse(&file.host) {
                Ok(host) => host,
                Err(error) => {
                    self.report(
                        &format!("{key}.host"),
                        format!(
                            "`{}`: {error}; `host`, `host:port` or `*.domain` is expected",
                            file.host
                        ),
                    );
                    hosts.push(None);
                    continue;
                }
            };
            if let Some(other) = file.via.and_then(|via| registries.steer(&host, via)) {
                self.report(
                    &format!("{key}.via"),
                    format!(
                        "another entry for `{}` says `{other}`; a host goes one way",
                        file.host
                    ),
                );
            }
            hosts.push(Some(host));
        }
        hosts
    }

    /// Opens the hosts that an allowed registry is known to need.
    fn known_hosts(&mut self, host: &RegistryPattern, via: Option<Via>, rule: &Arc<str>) {
        let hosts = self.registry_hosts.of(via);
        match host {
            RegistryPattern::Exact(registry) => {
                known_hosts::hosts_of(registry).for_each(|needed| hosts.insert_known(needed, rule));
                // Tokens are fetched by whoever has the credentials, and carry no content.
                if via != Some(Via::Mirror) {
                    let hosts = self.registry_hosts.of(Some(Via::Direct));
                    known_hosts::token_hosts_of(registry)
                        .for_each(|needed| hosts.insert_known(needed, rule));
                }
            }
            RegistryPattern::Below(domain, DEFAULT_PORT) => {
                known_hosts::hosts_below(domain)
                    .for_each(|needed| hosts.insert_known(needed, rule));
            }
            RegistryPattern::Below(..) => {}
        }
    }

    fn globs(&mut self, patterns: Option<&[String]>, key: &str) -> Vec<Glob> {
        let Some(patterns) = patterns else {
            return vec![Glob::all()];
        };
        self.require(!patterns.is_empty(), key, || {
            "an empty list allows nothing; leave the key out to allow all".to_owned()
        });
        let mut globs = Vec::with_capacity(patterns.len());
        for (index, pattern) in patterns.iter().enumerate() {
            match Glob::parse(pattern) {
                Ok(glob) => globs.push(glob),
                Err(error) => {
                    self.report(&format!("{key}[{index}]"), format!("`{pattern}`: {error}"))
                }
            }
        }
        globs
    }

    pub(super) fn hub(&mut self, file: &DockerHubFile, key: &str) -> HubRules {
        let mut rules = HubRules {
            official: file.official,
            verified_publisher: file.verified_publisher,
            sponsored_open_source: file.sponsored_open_source,
            community: file.community,
            official_names: file.official_names.unwrap_or_default(),
            ..HubRules::default()
        };
        for (index, organization) in file.organizations.iter().enumerate() {
            let key = format!("{key}.organizations[{index}]");
            if organization == OFFICIAL_NAMESPACE {
                self.report(&key, "`library` is Docker's own namespace; use `official`");
            } else if organization.contains('/') || check_path(organization).is_err() {
                self.report(&key, format!("`{organization}` is no namespace of Docker Hub: lower-case letters, digits, `.`, `_`, `-`"));
            }
            rules.organizations.insert(organization.clone());
        }
        for (index, pattern) in file.repositories.iter().enumerate() {
            let at = format!("{key}.repositories[{index}]");
            // Docker Hub's official images have a namespace, though users leave it out.
            let full = if pattern.contains(['/', '*']) {
                pattern.clone()
            } else {
                format!("{OFFICIAL_NAMESPACE}/{pattern}")
            };
            match Glob::parse(&full) {
                Ok(glob) => {
                    let name = Arc::from(format!("{key}.repositories[{pattern}]"));
                    // Said twice, it is allowed all the same.
                    rules.repositories.insert(glob, name);
                }
                Err(error) => self.report(&at, format!("`{pattern}`: {error}")),
            }
        }
        rules
    }

    fn origins(&mut self, file: &PolicyFile) -> OriginMap {
        let mut origins = OriginMap::built_in();
        for (index, entry) in file.origins.iter().enumerate() {
            let rule = format!("origins[{}]", entry.prefix);
            let domain = entry.prefix.strip_prefix("*.");
            let mut read = |text: &str, key: &str| {
                let prefix: Result<(Registry, String), _> = split_prefix(text);
                if let Err(error) = &prefix {
                    self.report(
                        &format!("origins[{index}].{key}"),
                        format!("`{text}`: {error}; `host/path/` is expected"),
                    );
                }
                prefix.ok()
            };
            let name = read(domain.unwrap_or(&entry.prefix), "prefix");
            let origin = read(&entry.origin, "origin");
            let (Some(name), Some(origin)) = (name, origin) else {
                continue;
            };
            self.require(name != origin, &format!("origins[{index}]"), || {
                "prefix and origin are the same".to_owned()
            });
            if domain.is_none() {
                origins.insert(name, origin, &rule);
            } else if name.1.is_empty() && name.0.port() == DEFAULT_PORT {
                origins.insert_domain(name.0.host(), origin, &rule);
            } else {
                self.report(
                    &format!("origins[{index}].prefix"),
                    format!(
                        "`{}`: `*.domain` stands alone, without port and path",
                        entry.prefix
                    ),
                );
            }
        }
        origins
    }

    fn teams(&mut self, file: &PolicyFile) -> Vec<Team> {
        let mut teams = Vec::new();
        for (name, team) in &file.subjects.teams {
            let key = format!("subjects.teams.{name}");
            self.names(&team.members, &format!("{key}.members"));
            let Some(hub) = &team.docker_hub else {
                continue;
            };
            let hub = self.hub(hub, &format!("{key}.docker-hub"));
            teams.push(Team {
                members: team.members.clone(),
                hub,
            });
        }
        teams
    }

    fn host(&mut self, pattern: &str, inserted: Result<(), InvalidHost>, key: &str) {
        if let Err(error) = inserted {
            self.report(
                key,
                format!("`{pattern}`: {error}; `host`, `host:port` or `*.domain` is expected"),
            );
        }
    }

    fn names(&mut self, names: &[String], key: &str) {
        for (index, name) in names.iter().enumerate() {
            self.require(!name.trim().is_empty(), &format!("{key}[{index}]"), || {
                "the name is empty".to_owned()
            });
        }
    }

    fn require(&mut self, holds: bool, key: &str, problem: impl FnOnce() -> String) {
        if !holds {
            self.report(key, problem());
        }
    }

    pub(super) fn report(&mut self, key: &str, problem: impl Into<String>) {
        self.findings.push((self.find)(key, problem.into()));
    }
}

/// The only version of the format.
const VERSION: u64 = 1;

/// Room for it in a status line of at most 8 KiB, which clients commonly take.
const CONTACT_LENGTH_MAX: usize = 256;
