//! Drop-ins: files beside the policy that tighten it.
//!
//! INVARIANT(intersection): what a drop-in says is asked besides the policy, never instead of it. A name is allowed if the policy
//! allows it and no drop-in denies it, so there is nothing that a drop-in could loosen, and their order is of no matter. One that
//! states an allowance which the policy does not give would have no effect; that is a mistake, and refused by its key.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Policy;
use super::check::Check;
use super::file::{DockerHubFile, RegistryFile, Switch, WatchMode};
use crate::action::{Action, Right};
use crate::category::Category;
use crate::denial::Reason;
use crate::document::{Document, Findings};
use crate::host::{Host, Registry};
use crate::hub::HubRules;
use crate::local::{LocalImage, LocalRule};
use crate::registries::{Listing, Registries, RegistryPattern};
use crate::registry_hosts::RegistryHosts;
use crate::repository::Repository;

/// A file of `policy.d` as it is written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DropInFile {
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) registries: Option<Vec<RegistryFile>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) docker_hub: Option<DockerHubFile>,
    #[serde(default)]
    pub(super) local_images: LocalPart,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) watch: Option<WatchMode>,
    #[serde(default)]
    pub(super) subjects: SubjectsPart,
}

/// What differs from the policy's `local-images`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct LocalPart {
    build: Option<LocalRule>,
    builder: Option<LocalRule>,
    load: Option<LocalRule>,
    import: Option<LocalRule>,
    commit: Option<LocalRule>,
    tag: Option<LocalRule>,
    unknown: Option<LocalRule>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct SubjectsPart {
    pub(super) require_identity: Option<bool>,
}

/// What a drop-in asks besides the policy.
#[derive(Clone, Debug)]
pub(super) struct DropIn {
    pub(super) name: Arc<str>,
    pub(super) registries: Option<Registries>,
    pub(super) hub: Option<HubRules>,
    hosts: RegistryHosts,
    local: LocalPart,
    requires_identity: bool,
}

// === impl DropIn ===

impl DropIn {
    /// Whether it lets the daemon connect to `registry`, be it an allowed one or a host that one needs.
    pub(super) fn opens(&self, registry: &Registry, host: &Host, port: u16) -> bool {
        self.registries
            .as_ref()
            .is_none_or(|registries| registries.lists(registry) || self.hosts.name(host, port))
    }

    /// Whether it is this one that a denial is due to, of those that no rule of names or hosts gives.
    pub(super) fn says(&self, reason: &Reason) -> bool {
        match reason {
            Reason::IdentityRequired => self.requires_identity,
            Reason::LocalImageNotAllowed(kind) => self.local.rule(*kind) == Some(LocalRule::Deny),
            Reason::GatesNotInForce(kind) => self.local.rule(*kind) == Some(LocalRule::Gated),
            Reason::RegistryNotAllowed(_)
            | Reason::RepositoryNotAllowed(_)
            | Reason::ActionNotAllowed(..)
            | Reason::CategoryNotAllowed(..)
            | Reason::CategoryUnknown(..)
            | Reason::OriginUnclear(_)
            | Reason::HostNotAllowed(..)
            | Reason::DockerHubOnlyByMirror(_)
            | Reason::NotDirect(..) => false,
        }
    }
}

// === impl Policy ===

impl Policy {
    /// Tightens the policy by a drop-in called `name`.
    ///
    /// # Errors
    /// Every mistake in it; among them every allowance that the policy itself does not give.
    pub fn tightened(mut self, name: &str, text: &str) -> Result<Self, Findings> {
        let mut document = Document::<DropInFile>::read(text)?;
        let listed = document.value.registries.take();
        let find = |key: &str, problem: String| document.finding(key, problem);
        let mut check = Check::new(&find);
        let file = &document.value;
        check.version(file.version);
        let hub = file
            .docker_hub
            .as_ref()
            .map(|hub| check.hub(hub, "docker-hub"));
        // Which way leads to a registry is one question with one answer, which the policy gives.
        for (index, entry) in listed.iter().flatten().enumerate() {
            if entry.via.is_some() {
                check.report(&format!("registries[{index}].via"), VIA);
            }
        }
        self.refuse_looser(file, listed.as_deref(), &mut check);
        let registries = listed.map(|registries| check.registries(registries));
        let hosts = check.finish()?;

        self.local.tighten(&file.local_images);
        if file.watch == Some(WatchMode::Stop) {
            self.watch = WatchMode::Stop;
        }
        let requires_identity = file.subjects.require_identity == Some(true);
        self.require_identity |= requires_identity;
        self.drop_ins.push(DropIn {
            name: Arc::from(name),
            registries,
            hub,
            hosts,
            local: document.value.local_images,
            requires_identity,
        });
        Ok(self)
    }

    /// Finds what `file` would allow and the policy, as it was written, does not.
    fn refuse_looser(
        &self,
        file: &DropInFile,
        registries: Option<&[RegistryFile]>,
        check: &mut Check<'_>,
    ) {
        for (key, ours, theirs) in file.local_images.rules(&self.written_local) {
            if theirs > ours {
                check.report(&format!("local-images.{key}"), LOOSER);
            }
        }
        if file.subjects.require_identity == Some(false) && self.written_identity {
            check.report("subjects.require-identity", LOOSER);
        }
        if let (Some(ours), Some(theirs)) = (&self.registries, registries) {
            for (index, entry) in theirs.iter().enumerate() {
                if is_looser(ours, entry) {
                    check.report(&format!("registries[{index}]"), LOOSER);
                }
            }
        }
        let (Some(ours), Some(theirs)) = (&self.hub, &file.docker_hub) else {
            return;
        };
        let open = ours.switch(Category::Community) == Some(Switch::Allow);
        for (category, said) in [
            (Category::Official, theirs.official),
            (Category::VerifiedPublisher, theirs.verified_publisher),
            (Category::SponsoredOpenSource, theirs.sponsored_open_source),
            (Category::Community, theirs.community),
        ] {
            if said == Some(Switch::Allow) && ours.switch(category) != Some(Switch::Allow) {
                check.report(category.rule(), LOOSER);
            }
        }
        let exempt = |path: &str| {
            let sample = Repository::new(Registry::docker_hub(), &sample(path));
            open || sample.is_ok_and(|sample| {
                ours.exemption(&sample).is_some()
                    || sample.path().starts_with("library/")
                        && ours.switch(Category::Official) == Some(Switch::Allow)
            })
        };
        for (index, organization) in theirs.organizations.iter().enumerate() {
            if !exempt(&format!("{organization}/{SAMPLE}")) {
                check.report(&format!("docker-hub.organizations[{index}]"), LOOSER);
            }
        }
        for (index, pattern) in theirs.repositories.iter().enumerate() {
            if !exempt(pattern) {
                check.report(&format!("docker-hub.repositories[{index}]"), LOOSER);
            }
        }
    }
}

/// Whether `entry` gives a right that `ours` does not. A pattern is tried with a name that nobody has, so this finds mistakes and
/// proves nothing; what holds is the intersection.
fn is_looser(ours: &Registries, entry: &RegistryFile) -> bool {
    let registry = match RegistryPattern::parse(&entry.host) {
        Ok(RegistryPattern::Exact(registry)) => Some(registry),
        Ok(RegistryPattern::Below(domain, port)) => format!("{SAMPLE}.{domain}")
            .parse()
            .ok()
            .map(|host| Registry::new(host, port)),
        // That is a finding of its own.
        Err(_) => None,
    };
    let Some(registry) = registry else {
        return false;
    };
    let all = [SAMPLE.to_owned()];
    let patterns = entry.repositories.as_deref().unwrap_or(&all);
    let rights = entry.actions.as_deref().unwrap_or(&[Right::Pull]);
    patterns.iter().any(|pattern| {
        let Ok(repository) = Repository::new(registry.clone(), &sample(pattern)) else {
            return false;
        };
        rights.iter().any(|right| {
            let action = match right {
                Right::Pull => Action::Pull,
                Right::Push => Action::Push,
            };
            let listed = matches!(ours.listing(&repository, action), Listing::Listed(_, true));
            // A part of the registry is allowed, and the drop-in names all of it: it narrows nothing and widens nothing.
            let whole = entry.repositories.is_none() && ours.lists(&registry);
            !(listed || whole)
        })
    })
}

/// A path that a pattern covers.
fn sample(pattern: &str) -> String {
    pattern.replace("**", SAMPLE).replace('*', SAMPLE)
}

// === impl LocalPart ===

impl LocalPart {
    const fn rule(&self, kind: LocalImage) -> Option<LocalRule> {
        match kind {
            LocalImage::Build => self.build,
            LocalImage::Builder => self.builder,
            LocalImage::Load => self.load,
            LocalImage::Import => self.import,
            LocalImage::Commit => self.commit,
            LocalImage::Tag => self.tag,
            LocalImage::Unknown => self.unknown,
        }
    }

    /// Each key that is stated: its name, what `ours` says, what it says. In order of what is looser.
    fn rules(
        &self,
        ours: &super::file::LocalImagesFile,
    ) -> impl Iterator<Item = (&'static str, u8, u8)> {
        [
            ("build", ours.build, self.build),
            ("builder", ours.builder, self.builder),
            ("load", ours.load, self.load),
            ("import", ours.import, self.import),
            ("commit", ours.commit, self.commit),
            ("tag", ours.tag, self.tag),
            ("unknown", ours.unknown, self.unknown),
        ]
        .into_iter()
        .filter_map(|(key, ours, theirs)| Some((key, looseness(ours), looseness(theirs?))))
    }
}

// === impl LocalImagesFile ===

impl super::file::LocalImagesFile {
    /// Takes over what is stricter.
    pub(super) fn tighten(&mut self, part: &LocalPart) {
        for (rule, said) in [
            (&mut self.build, part.build),
            (&mut self.builder, part.builder),
            (&mut self.load, part.load),
            (&mut self.import, part.import),
            (&mut self.commit, part.commit),
            (&mut self.tag, part.tag),
            (&mut self.unknown, part.unknown),
        ] {
            if let Some(said) = said
                && looseness(said) < looseness(*rule)
            {
                *rule = said;
            }
        }
    }
}

const fn looseness(rule: LocalRule) -> u8 {
    match rule {
        LocalRule::Deny => 0,
        LocalRule::Gated => 1,
        LocalRule::Allow => 2,
    }
}

const VIA: &str = "the way to a registry stands in the policy alone; a drop-in only tightens";
const LOOSER: &str = "the policy itself does not allow this, and a drop-in may only tighten; take it out here, or allow it in the policy";
/// A name that no rule has on purpose.
const SAMPLE: &str = "ramgate-sample";
