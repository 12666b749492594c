//! What of a policy Docker's Registry and Image Access Management can say.
//!
//! Their shapes are those of Docker's Terraform provider,
//! <https://github.com/docker/terraform-provider-docker/blob/main/internal/hubclient/client_organization.go>.

use ramgate_policy::file::{
    DockerHubFile, LocalImagesFile, Mode, PolicyFile, RegistryFile, Switch,
};
use ramgate_policy::{LocalRule, Registry, Right};
use serde_json::{Value, json};

/// Settings of a Docker organization.
#[derive(Debug)]
pub(super) struct DockerSettings {
    images: Value,
    hub_listed: bool,
    /// `None`: registry access management is off.
    hosts: Option<Vec<String>>,
    /// What could not be carried over.
    pub(super) notes: Vec<String>,
}

// === impl DockerSettings ===

impl DockerSettings {
    pub(super) fn of(policy: &PolicyFile) -> Self {
        let mut settings = Self {
            images: json!({ "enabled": false, "allow_official_images": true, "allow_verified_publishers": true }),
            hub_listed: true,
            hosts: None,
            notes: Vec::new(),
        };
        if let Some(registries) = &policy.registries {
            settings.registries(registries);
        }
        if let Some(hub) = &policy.docker_hub {
            settings.images(hub);
        }
        settings.others(policy);
        settings
    }

    /// For Docker Hub's API, by the ends of its paths.
    pub(super) fn api(&self) -> Value {
        json!({
            "settings": { "restricted_images": self.images },
            "registry-access-management": {
                "enabled": self.hosts.is_some(),
                "standard_registries": [{ "id": "DockerHub", "allowed": self.hub_listed }],
                "custom_registries": self.custom(),
            },
        })
    }

    /// For Terraform, in its JSON syntax.
    pub(super) fn terraform(&self, organization: &str) -> Value {
        let mut images = self.images.clone();
        if let Some(images) = images.as_object_mut() {
            images.insert("org_name".to_owned(), json!(organization));
        }
        json!({ "resource": {
            "docker_org_setting_image_access_management": { "ramgate": images },
            "docker_org_setting_registry_access_management": { "ramgate": {
                "org_name": organization,
                "enabled": self.hosts.is_some(),
                "standard_registry_docker_hub": { "allowed": self.hub_listed },
                "custom_registries": self.custom(),
            } },
        } })
    }

    fn custom(&self) -> Vec<Value> {
        let hosts = self.hosts.iter().flatten();
        hosts
            .map(|host| json!({ "address": host, "friendly_name": host, "allowed": true }))
            .collect()
    }

    fn registries(&mut self, registries: &[RegistryFile]) {
        self.hub_listed = false;
        let mut hosts = Vec::new();
        for entry in registries {
            let host = &entry.host;
            let actions = entry.actions.as_deref().unwrap_or(&[Right::Pull]);
            if host.starts_with("*.") {
                self.note(format!("`{host}`: Docker lists hosts one by one; left out"));
            } else if entry.repositories.is_some() {
                self.note(format!(
                    "`{host}` is allowed in part, and Docker knows hosts only; left out"
                ));
            } else if !actions.contains(&Right::Pull) {
                self.note(format!(
                    "`{host}` is for pushes only, and Docker cannot tell push from pull; left out"
                ));
            } else {
                if !actions.contains(&Right::Push) {
                    self.note(format!("`{host}` is for pulls only; Docker cannot tell push from pull and lets both through"));
                }
                if host
                    .parse()
                    .is_ok_and(|registry: Registry| registry.is_docker_hub())
                {
                    self.hub_listed = true;
                } else if !hosts.contains(host) {
                    hosts.push(host.clone());
                }
            }
        }
        if hosts.len() > CUSTOM_REGISTRIES_MAX {
            self.note(format!(
                "{} registries: Docker takes {CUSTOM_REGISTRIES_MAX}",
                hosts.len()
            ));
        }
        self.note("hosts that registries redirect to have to be on Docker's list as well; see its documentation".to_owned());
        self.hosts = Some(hosts);
    }

    fn images(&mut self, hub: &DockerHubFile) {
        let allowed = |switch: Option<Switch>| switch == Some(Switch::Allow);
        self.images = json!({
            "enabled": true,
            "allow_official_images": allowed(hub.official),
            "allow_verified_publishers": allowed(hub.verified_publisher),
        });
        for (key, switch) in [
            ("community", hub.community),
            ("sponsored-open-source", hub.sponsored_open_source),
        ] {
            if allowed(switch) {
                self.note(format!(
                    "docker-hub.{key} is allow, for which Docker has no switch: denied there"
                ));
            }
        }
        if !hub.repositories.is_empty() {
            self.note("docker-hub.repositories: Docker's repository allow-list is not in its API; write it there by hand".to_owned());
        }
        if hub.organizations.len() > 1 {
            self.note("docker-hub.organizations: with Docker, only the organization's own images are always allowed".to_owned());
        }
    }

    fn others(&mut self, policy: &PolicyFile) {
        if policy.mode == Mode::Audit {
            self.note("mode is audit; Docker has no trial and enforces what it is told".to_owned());
        }
        for (key, said) in [
            ("origins", !policy.origins.is_empty()),
            ("egress.hosts", !policy.egress.hosts.is_empty()),
            ("subjects.teams", !policy.subjects.teams.is_empty()),
            ("subjects.owners", !policy.subjects.owners.is_empty()),
            (
                "subjects.require-identity",
                policy.subjects.require_identity,
            ),
        ] {
            if said {
                self.note(format!("{key} has no like in these settings of Docker's"));
            }
        }
        let LocalImagesFile { load, .. } = policy.local_images;
        if load == LocalRule::Deny {
            self.note("local-images.load is deny: with Docker that is `blockDockerLoad` in admin-settings.json; the rest of local-images has no like".to_owned());
        } else {
            self.note("local-images has no like in these settings of Docker's".to_owned());
        }
    }

    fn note(&mut self, text: String) {
        self.notes.push(text);
    }
}

/// <https://docs.docker.com/enterprise/security/hardened-desktop/registry-access-management/>, read in August 2026.
const CUSTOM_REGISTRIES_MAX: usize = 100;
