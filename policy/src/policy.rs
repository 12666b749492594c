//! The policy: what is asked of it, and in what order it decides.
//!
//! 1. A policy that wants an identity refuses callers without one; owners are allowed everything.
//! 2. The name used, and every origin derived from it, must be allowed: by the registry allow-list, and on Docker Hub by the
//!    categories.
//! 3. In `mode: audit` a denial becomes an allowance that remembers it.

mod captured;
mod check;
mod content;
mod drop_in;
mod explain;
pub mod file;
mod folded;

pub use explain::{Basis, Step};
pub use folded::{FoldError, Folded};

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::action::Action;
use crate::decision::{
    Decision, Grant, LocalDecision, Permit, RuleName, TunnelDecision, TunnelPermit,
};
use crate::denial::{Denial, Reason};
use crate::document::Findings;
use crate::host::{DEFAULT_PORT, Host, Registry};
use crate::hosts::Hosts;
use crate::hub::{self, HubRules};
use crate::known_hosts;
use crate::local::{LocalImage, LocalRule};
use crate::origin::OriginMap;
use crate::registries::{Listing, Registries};
use crate::registry_hosts::RegistryHosts;
use crate::repository::Repository;
use crate::request::Request;
use crate::standing::{Categories, NothingKnown};
use crate::subject::Subject;
use crate::via::Via;
use drop_in::DropIn;
use file::{Containers, LocalImagesFile, Mode, PolicyFile, WatchMode};

/// A policy in force. It is made from a file's text by [`Policy::parse`], and never half valid.
#[derive(Clone, Debug)]
pub struct Policy {
    mode: Mode,
    contact: Option<Arc<str>>,
    registries: Option<Registries>,
    hub: Option<HubRules>,
    origins: OriginMap,
    origins_by_digest: bool,
    mirrors: HashSet<Registry>,
    local: LocalImagesFile,
    watch: WatchMode,
    hosts: Hosts,
    containers: Containers,
    registry_hosts: RegistryHosts,
    owners: HashSet<String>,
    require_identity: bool,
    teams: Vec<Team>,
    /// Each asked besides, never instead.
    drop_ins: Vec<DropIn>,
    /// As the policy itself has them, without drop-ins.
    written_local: LocalImagesFile,
    written_identity: bool,
}

/// What besides the policy bears on where the daemon may connect to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steering {
    /// The mirror carries Docker Hub, so the daemon has no need of it.
    pub docker_hub_by_mirror: bool,
    /// The network gate can read what goes to registries, and does so unless the policy says another way.
    pub inspect: bool,
}

/// A group of callers with rules of its own.
#[derive(Clone, Debug)]
struct Team {
    members: Vec<String>,
    hub: HubRules,
}

// === impl Policy ===

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Every mistake in it, at once.
    pub fn parse(text: &str) -> Result<Self, Findings> {
        check::policy(text)
    }

    /// The JSON Schema of the policy file.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(PolicyFile).to_value()
    }

    /// Tells the policy at which addresses our own mirror is reached, so that a name which uses one is judged by what the
    /// mirror serves under it.
    #[must_use]
    pub fn with_mirrors(mut self, addresses: impl IntoIterator<Item = Registry>) -> Self {
        for address in addresses {
            self.origins.insert_mirror(address.clone());
            self.mirrors.insert(address);
        }
        self
    }

    /// Whether denials are logged rather than enforced.
    #[must_use]
    pub fn is_audit(&self) -> bool {
        self.mode == Mode::Audit
    }

    /// Whether a container that runs with a denied image, and that no request asked for, is stopped; else it is reported.
    #[must_use]
    pub fn stops_denied(&self) -> bool {
        self.watch == WatchMode::Stop && !self.is_audit()
    }

    /// Decides whether a repository may be pulled, pushed or run, by what its name says: who is a verified publisher of Docker
    /// Hub or sponsored by it is not known, and counts as community.
    pub fn evaluate(&self, request: &Request<'_>) -> Decision {
        self.evaluate_knowing(request, &NothingKnown)
    }

    /// Decides whether a repository may be pulled, pushed or run, by what is known of Docker Hub's namespaces.
    pub fn evaluate_knowing(&self, request: &Request<'_>, categories: &dyn Categories) -> Decision {
        let permit = |grant| {
            Decision::Allow(Permit::new(
                request.repository.clone(),
                request.action,
                grant,
            ))
        };
        match self.judge(request, categories) {
            Ok(rule) => permit(Grant::new(rule)),
            Err(denial) if self.is_audit() => permit(Grant::suppressing(denial)),
            Err(denial) => Decision::Deny(denial),
        }
    }

    /// Decides whether a connection may be opened to `host` at `port`.
    pub fn evaluate_tunnel(&self, host: &Host, port: u16, steering: &Steering) -> TunnelDecision {
        let permit = |grant, listed| {
            let permit = TunnelPermit::new(host.clone(), port, grant, listed);
            TunnelDecision::Allow(permit.inspected(self.is_inspected(host, port, steering)))
        };
        let judged = self
            .judge_tunnel(host, port, steering)
            .and_then(|opened| self.tighten_tunnel(host, port, steering, opened));
        match judged {
            Ok((rule, listed)) => permit(Grant::new(rule), listed),
            Err(denial) if self.is_audit() => permit(Grant::suppressing(denial), false),
            Err(denial) => TunnelDecision::Deny(denial),
        }
    }

    /// Decides whether an image may come to be without a pull.
    pub fn evaluate_local(&self, kind: LocalImage, subject: &Subject) -> LocalDecision {
        let (rule, name) = self.local.rule(kind);
        let granted = || Grant::new(RuleName::Fixed(name));
        let refused = |reason| match self.deny(reason) {
            denial if self.is_audit() => LocalDecision::Allow(Grant::suppressing(denial)),
            denial => LocalDecision::Deny(denial),
        };
        match self.admit(subject) {
            Ok(Some(owner)) => return LocalDecision::Allow(Grant::new(owner)),
            Ok(None) => {}
            Err(reason) => return refused(reason),
        }
        match rule {
            LocalRule::Allow => LocalDecision::Allow(granted()),
            LocalRule::Gated if self.is_audit() => {
                LocalDecision::Allow(Grant::suppressing(self.deny(Reason::GatesNotInForce(kind))))
            }
            LocalRule::Gated => {
                LocalDecision::Gated(granted(), self.deny(Reason::GatesNotInForce(kind)))
            }
            LocalRule::Deny => refused(Reason::LocalImageNotAllowed(kind)),
        }
    }

    /// Decides whether a registry may be searched, whatever its repositories.
    ///
    /// # Errors
    /// The denial.
    pub fn evaluate_registry(
        &self,
        registry: &Registry,
        subject: &Subject,
    ) -> Result<Grant, Denial> {
        let listed = match (self.admit(subject), &self.registries) {
            (Ok(Some(owner)), _) => Ok(owner),
            (Ok(None), None) => Ok(RuleName::Fixed(NO_LIST)),
            (Ok(None), Some(registries)) if registries.lists(registry) => {
                Ok(RuleName::Fixed("registries"))
            }
            (Ok(None), Some(_)) => Err(Reason::RegistryNotAllowed(registry.clone())),
            (Err(reason), _) => Err(reason),
        };
        let owner = matches!(self.admit(subject), Ok(Some(_)));
        let denying = self.drop_ins.iter().find(|drop_in| {
            let registries = drop_in.registries.as_ref();
            !owner && registries.is_some_and(|registries| !registries.lists(registry))
        });
        let listed = match (listed, denying) {
            (Ok(rule), None) => Ok(rule),
            (Ok(_), Some(drop_in)) => Err(self
                .deny(Reason::RegistryNotAllowed(registry.clone()))
                .by_drop_in(&drop_in.name)),
            (Err(reason), _) => Err(self.deny(reason)),
        };
        match listed {
            Ok(rule) => Ok(Grant::new(rule)),
            Err(denial) if self.is_audit() => Ok(Grant::suppressing(denial)),
            Err(denial) => Err(denial),
        }
    }

    /// Whether `registry` may send the mirror to `host` at `port` for its content: hosts that it is known to need, and those
    /// that the policy names. To any other, an allowed registry could lead into one that is not.
    #[must_use]
    pub fn names_redirect(&self, registry: &Registry, host: &Host, port: u16) -> bool {
        if registry.is_docker_hub() {
            return port == DEFAULT_PORT && known_hosts::is_docker_hub_host(host);
        }
        if known_hosts::is_docker_hub_host(host) {
            return false;
        }
        let known =
            port == DEFAULT_PORT && known_hosts::hosts_of(registry).any(|known| known.covers(host));
        known || self.hosts.rule(host, port).is_some() || self.registry_hosts.name(host, port)
    }

    /// The way to `registry` that the policy says, or that follows from `steering`.
    fn via(&self, registry: &Registry, steering: &Steering) -> Via {
        let written = self
            .registries
            .as_ref()
            .and_then(|registries| registries.via(registry));
        let implied = if steering.inspect {
            Via::Inspect
        } else {
            Via::Direct
        };
        written.unwrap_or(implied)
    }

    /// Whether a tunnel to `host` is read: to a registry, but not to what only serves its blobs or tokens.
    fn is_inspected(&self, host: &Host, port: u16, steering: &Steering) -> bool {
        let registry = Registry::new(host.clone(), port);
        let is_registry = self.is_registry(host, port)
            && (registry.is_docker_hub() || !known_hosts::is_docker_hub_host(host));
        steering.inspect && is_registry && self.via(&registry, steering) == Via::Inspect
    }

    /// Whether `host` at `port` is a registry, as far as that can be told from its name: the policy lists it as one, or it is
    /// well known, or one of Docker Hub's.
    #[must_use]
    pub fn is_registry(&self, host: &Host, port: u16) -> bool {
        let registry = Registry::new(host.clone(), port);
        let listed = self
            .registries
            .as_ref()
            .is_some_and(|registries| registries.lists(&registry));
        listed || known_hosts::is_registry(host)
    }

    /// The hosts of all registries on the list, those of wildcards by their domain, sorted; `None` without a list.
    #[must_use]
    pub fn registry_hosts(&self) -> Option<Vec<Host>> {
        let registries = self.registries.as_ref()?;
        let mut hosts: BTreeSet<Host> = registries.hosts().collect();
        if registries.lists(&Registry::docker_hub()) {
            hosts.extend(known_hosts::docker_hub_domains());
        }
        Some(hosts.into_iter().collect())
    }

    /// What does not depend on the repository: `Some` rule for owners, who are exempt.
    fn admit(&self, subject: &Subject) -> Result<Option<RuleName>, Reason> {
        match subject {
            Subject::User(name) if self.owners.contains(name) => {
                Ok(Some(RuleName::Fixed("subjects.owners")))
            }
            Subject::Anonymous | Subject::Address(_) if self.require_identity => {
                Err(Reason::IdentityRequired)
            }
            Subject::User(_) | Subject::Anonymous | Subject::Address(_) | Subject::Daemon => {
                Ok(None)
            }
        }
    }

    fn judge(
        &self,
        request: &Request<'_>,
        categories: &dyn Categories,
    ) -> Result<RuleName, Denial> {
        if let Some(owner) = self
            .admit(request.subject)
            .map_err(|reason| self.deny(reason))?
        {
            return Ok(owner);
        }
        let named = request.repository;
        let teams = self.teams_of(request.subject);
        // Our own mirror is no registry of its own: only what it serves under the name counts.
        let own = self.mirrors.contains(named.registry());
        let mut rule = RuleName::Fixed("registries");
        if !own {
            rule = self.judge_tightly(named, request.action, &teams, categories)?;
        }
        // A push puts content there and takes none from the origin.
        if request.action == Action::Push && !own {
            return Ok(rule);
        }
        let unclear = |_| self.deny(Reason::OriginUnclear(named.clone()));
        for origin in self.origins.origins(named).map_err(unclear)? {
            let origin = &origin.repository;
            let judged = self.judge_tightly(origin, request.action, &teams, categories);
            rule = judged.map_err(|denial| denial.of_origin(named.clone()))?;
        }
        Ok(rule)
    }

    /// By the policy, and then by each drop-in.
    fn judge_tightly(
        &self,
        repository: &Repository,
        action: Action,
        teams: &[&HubRules],
        categories: &dyn Categories,
    ) -> Result<RuleName, Denial> {
        let (registries, hub) = (self.registries.as_ref(), self.hub.as_ref());
        let rule = judge_name(registries, hub, repository, action, teams, categories)
            .map_err(|reason| self.deny(reason))?;
        for drop_in in &self.drop_ins {
            let (registries, hub) = (drop_in.registries.as_ref(), drop_in.hub.as_ref());
            judge_name(registries, hub, repository, action, &[], categories)
                .map_err(|reason| self.deny(reason).by_drop_in(&drop_in.name))?;
        }
        Ok(rule)
    }

    /// The rule that opens the way, and whether it lists the host.
    fn judge_tunnel(
        &self,
        host: &Host,
        port: u16,
        steering: &Steering,
    ) -> Result<(RuleName, bool), Denial> {
        let registry = Registry::new(host.clone(), port);
        let lists = |registry: &Registry| {
            self.registries
                .as_ref()
                .is_some_and(|registries| registries.lists(registry))
        };
        let open = self.registries.is_none();
        if known_hosts::is_docker_hub_host(host) {
            // One answer for all of Docker Hub's hosts: who lists a data host by itself opens nothing.
            let hub = Registry::docker_hub();
            if !open && !lists(&hub) {
                return Err(self.deny(Reason::HostNotAllowed(hub, port)));
            }
            let rule = RuleName::Fixed(if open { NO_LIST } else { "registries" });
            let via = self.via(&hub, steering);
            // Read, or nothing but a token that whoever reads will want.
            if steering.inspect
                && via == Via::Inspect
                && (registry == hub || known_hosts::is_docker_hub_token_host(host))
            {
                return Ok((rule, !open));
            }
            // Through a tunnel no repository is seen, so categories could not be held.
            let only_mirror = steering.docker_hub_by_mirror || via != Via::Direct;
            if only_mirror || self.hub.is_some() || !self.teams.is_empty() {
                return Err(self.deny(Reason::DockerHubOnlyByMirror(host.clone())));
            }
            return Ok((rule, !open));
        }
        if lists(&registry) {
            return match self.via(&registry, steering) {
                Via::Inspect if steering.inspect => Ok((RuleName::Fixed("registries"), true)),
                Via::Direct => Ok((RuleName::Fixed("registries"), true)),
                via @ (Via::Inspect | Via::Mirror) => {
                    Err(self.deny(Reason::NotDirect(registry, via)))
                }
            };
        }
        let rule = self.hosts.rule(host, port);
        match rule.or_else(|| self.registry_hosts.open(host, port, steering.inspect)) {
            Some(rule) => Ok((rule, true)),
            None if open => Ok((RuleName::Fixed(NO_LIST), false)),
            None => Err(self.deny(Reason::HostNotAllowed(registry, port))),
        }
    }

    /// What the drop-ins leave of a way that the policy opens. `egress.hosts` are no registries: those are the policy's alone.
    fn tighten_tunnel(
        &self,
        host: &Host,
        port: u16,
        steering: &Steering,
        opened: (RuleName, bool),
    ) -> Result<(RuleName, bool), Denial> {
        if opened.0.as_str() == "egress.hosts" {
            return Ok(opened);
        }
        let is_hub = known_hosts::is_docker_hub_host(host);
        let registry = if is_hub {
            Registry::docker_hub()
        } else {
            Registry::new(host.clone(), port)
        };
        // Then each request is judged by itself, by the drop-ins too.
        let is_read = steering.inspect && self.via(&registry, steering) == Via::Inspect;
        for drop_in in &self.drop_ins {
            let reason = if !drop_in.opens(&registry, host, port) {
                Reason::HostNotAllowed(registry.clone(), port)
            } else if is_hub && drop_in.hub.is_some() && !steering.docker_hub_by_mirror && !is_read
            {
                Reason::DockerHubOnlyByMirror(host.clone())
            } else {
                continue;
            };
            return Err(self.deny(reason).by_drop_in(&drop_in.name));
        }
        Ok(opened)
    }

    fn teams_of(&self, subject: &Subject) -> Vec<&HubRules> {
        let Subject::User(name) = subject else {
            return Vec::new();
        };
        let member = |team: &&Team| {
            team.members
                .iter()
                .any(|pattern| crate::scope::covers_component(pattern, name))
        };
        self.teams
            .iter()
            .filter(member)
            .map(|team| &team.hub)
            .collect()
    }

    fn deny(&self, reason: Reason) -> Denial {
        let drop_in = self.due_to(&reason).map(|drop_in| &drop_in.name);
        let denial = |reason| Denial::new(reason, self.contact.clone());
        match drop_in {
            Some(name) => denial(reason).by_drop_in(name),
            None => denial(reason),
        }
    }

    /// The drop-in without which the policy, as it is written, would not say so.
    fn due_to(&self, reason: &Reason) -> Option<&DropIn> {
        let is_written = matches!(reason, Reason::IdentityRequired if self.written_identity)
            || matches!(reason, Reason::LocalImageNotAllowed(kind) | Reason::GatesNotInForce(kind)
                if self.local.rule(*kind) == self.written_local.rule(*kind));
        let mut drop_ins = self.drop_ins.iter().filter(|_| !is_written);
        drop_ins.find(|drop_in| drop_in.says(reason))
    }
}

/// By one set of rules: the registries', then Docker Hub's.
fn judge_name(
    registries: Option<&Registries>,
    hub: Option<&HubRules>,
    repository: &Repository,
    action: Action,
    teams: &[&HubRules],
    categories: &dyn Categories,
) -> Result<RuleName, Reason> {
    let mut rule = RuleName::Fixed(NO_LIST);
    if let Some(registries) = registries {
        rule = match registries.listing(repository, action) {
            Listing::NoRegistry => {
                return Err(Reason::RegistryNotAllowed(repository.registry().clone()));
            }
            Listing::NoRepository => {
                return Err(Reason::RepositoryNotAllowed(repository.clone()));
            }
            Listing::Listed(rule, false) => {
                return Err(Reason::ActionNotAllowed(
                    repository.clone(),
                    action,
                    Arc::clone(&rule.name),
                ));
            }
            Listing::Listed(rule, true) => RuleName::Written(Arc::clone(&rule.name)),
        };
    }
    let managed = repository.registry().is_docker_hub() && (hub.is_some() || !teams.is_empty());
    // Image access management is about what comes in; who may push is the registries' `actions`.
    if managed && action != Action::Push {
        let judged = hub::judge(hub, teams, repository, categories);
        rule = judged.map_err(|refused| match refused.doubt {
            None => Reason::CategoryNotAllowed(repository.clone(), refused.category),
            Some(doubt) => Reason::CategoryUnknown(repository.clone(), doubt),
        })?;
    }
    Ok(rule)
}

// === impl LocalImagesFile ===

impl LocalImagesFile {
    const fn rule(&self, kind: LocalImage) -> (LocalRule, &'static str) {
        match kind {
            LocalImage::Build => (self.build, "local-images.build"),
            LocalImage::Builder => (self.builder, "local-images.builder"),
            LocalImage::Load => (self.load, "local-images.load"),
            LocalImage::Import => (self.import, "local-images.import"),
            LocalImage::Commit => (self.commit, "local-images.commit"),
            LocalImage::Tag => (self.tag, "local-images.tag"),
            LocalImage::Unknown => (self.unknown, "local-images.unknown"),
        }
    }
}

/// The rule's name where there is no allow-list.
const NO_LIST: &str = "registries is absent";
