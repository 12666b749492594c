//! `ramgate policy import docker-settings`: from the settings of a Docker organization to a policy.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ramgate_policy::Policy;
use serde_json::{Map, Value, json};

use super::super::{CommandError, say};

/// Make a policy of settings that another product has.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Of Docker's Registry and Image Access Management.
    ///
    /// Takes what Docker Hub's API answers for an organization's settings and its registry access, the JSON of Terraform
    /// (`terraform show -json`, of a plan or a state) with the resources of Docker's provider, and Docker Desktop's
    /// `admin-settings.json`. The policy goes to stdout, what cannot be carried over to stderr.
    DockerSettings {
        /// JSON files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Your namespace on Docker Hub, whose images are always allowed; may be given more than once.
        #[arg(long = "organization", value_name = "NAMESPACE")]
        organizations: Vec<String>,
    },
}

/// What was read so far.
#[derive(Default)]
struct Import {
    organizations: Vec<String>,
    registries: Option<Vec<Value>>,
    hub: Option<Map<String, Value>>,
    deny_load: bool,
    notes: Vec<String>,
    /// Whether anything was known again.
    found: bool,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let From::DockerSettings {
            files,
            organizations,
        } = &self.from;
        let mut import = Import {
            organizations: organizations.clone(),
            ..Import::default()
        };
        for file in files {
            let context = || file.display().to_string();
            let text = std::fs::read_to_string(file)
                .with_context(context)
                .map_err(CommandError::Failed)?;
            let value: Value = serde_json::from_str(&text).map_err(|error| {
                let hint = if text.contains("resource \"docker_") {
                    "; of Terraform, the output of `terraform show -json` is taken"
                } else {
                    ""
                };
                CommandError::Usage(format!("{}: {error}{hint}", file.display()))
            })?;
            let before = std::mem::take(&mut import.found);
            import.read(&value);
            if !import.found {
                return Err(CommandError::Usage(format!(
                    "{}: there are no settings of Docker in it that ramgate knows",
                    file.display()
                )));
            }
            import.found |= before;
        }
        let text = format!("{:#}", import.policy());
        Policy::parse(&text).map_err(|findings| CommandError::Usage(findings.to_string()))?;
        let mut stderr = std::io::stderr();
        for note in &import.notes {
            writeln!(stderr, "note: {note}")?;
        }
        say(text)
    }
}

// === impl Import ===

impl Import {
    /// Finds settings at any depth: Terraform nests resources in modules.
    fn read(&mut self, value: &Value) {
        match value {
            Value::Object(object) => self.object(object),
            Value::Array(elements) => elements.iter().for_each(|element| self.read(element)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn object(&mut self, object: &Map<String, Value>) {
        let values = object.get("values").or_else(|| object.get("attributes"));
        if let (Some(Value::String(kind)), Some(Value::Object(values))) =
            (object.get("type"), values)
        {
            match kind.as_str() {
                "docker_org_setting_image_access_management" => return self.images(values),
                "docker_org_setting_registry_access_management" => return self.registries(values),
                _ => {}
            }
        }
        if let Some(Value::Object(images)) = object.get("restricted_images") {
            self.images(images);
        }
        if object.contains_key("custom_registries") || object.contains_key("standard_registries") {
            return self.registries(object);
        }
        if object.contains_key("configurationFileVersion") {
            return self.desktop(object);
        }
        for (key, value) in object {
            // A plan has each resource twice: as it is to be, and as a change.
            if key != "restricted_images" && key != "resource_changes" && key != "prior_state" {
                self.read(value);
            }
        }
    }

    /// Image Access Management.
    fn images(&mut self, values: &Map<String, Value>) {
        self.found = true;
        self.organization(values);
        if !flag(values, "enabled") {
            self.note("image access management is off: all of Docker Hub's images are allowed");
            return;
        }
        let switch = |key| if flag(values, key) { "allow" } else { "deny" };
        let categories = [
            ("official", switch("allow_official_images")),
            ("verified-publisher", switch("allow_verified_publishers")),
            ("sponsored-open-source", "deny"),
            ("community", "deny"),
        ];
        self.hub = Some(
            categories
                .into_iter()
                .map(|(key, value)| (key.to_owned(), json!(value)))
                .collect(),
        );
        self.note("sponsored open source counts as community with Docker, so it is deny; it has a switch of its own here");
        self.note("the repository allow-list is not in Docker's API: write it into docker-hub.repositories");
    }

    /// Registry Access Management.
    fn registries(&mut self, values: &Map<String, Value>) {
        self.found = true;
        self.organization(values);
        if !flag(values, "enabled") {
            self.note("registry access management is off: all registries are allowed");
            return;
        }
        let standard = values.get("standard_registries").and_then(Value::as_array);
        let hub = standard.into_iter().flatten().any(|registry| {
            registry.get("id").and_then(Value::as_str) == Some("DockerHub")
                && registry.get("allowed") == Some(&json!(true))
        }) || values
            .get("standard_registry_docker_hub")
            .is_some_and(|hub| hub.get("allowed") == Some(&json!(true)));
        let both = json!(["pull", "push"]);
        let mut entries: BTreeMap<String, Value> = BTreeMap::new();
        if hub {
            entries.insert(
                "docker.io".to_owned(),
                json!({ "host": "docker.io", "actions": both }),
            );
        }
        let custom = values.get("custom_registries").and_then(Value::as_array);
        for registry in custom.into_iter().flatten() {
            let address = registry
                .get("address")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if registry.get("allowed") == Some(&json!(false)) {
                self.note(&format!(
                    "`{address}` is listed and not allowed: left out, which is the same"
                ));
                continue;
            }
            let host = address
                .trim_start_matches("https://")
                .trim_start_matches("http://");
            let (host, path) = host.split_once('/').unwrap_or((host, ""));
            if !path.is_empty() {
                self.note(&format!("`{address}` has a path, of which Docker sees nothing: the host is allowed as a whole"));
            }
            entries.insert(host.to_owned(), json!({ "host": host, "actions": both }));
        }
        self.registries = Some(entries.into_values().collect());
        self.note("Docker cannot tell push from pull, so both are allowed everywhere: take `push` out where nobody pushes");
        self.note("hosts that registries redirect to had to be listed with Docker and need not be here: take them out");
    }

    /// Docker Desktop's settings, of which few mean something on a server.
    fn desktop(&mut self, values: &Map<String, Value>) {
        self.found = true;
        for (key, value) in values {
            let on = value == &json!(true) || value.get("value") == Some(&json!(true));
            match key.as_str() {
                "configurationFileVersion" => {}
                "blockDockerLoad" if on => self.deny_load = true,
                "blockDockerLoad" => {}
                _ => self.note(&format!(
                    "`{key}` of admin-settings.json is about Docker Desktop and not carried over"
                )),
            }
        }
    }

    fn organization(&mut self, values: &Map<String, Value>) {
        if let Some(Value::String(name)) = values.get("org_name")
            && !self.organizations.contains(name)
        {
            self.organizations.push(name.clone());
        }
    }

    fn note(&mut self, text: &str) {
        if !self.notes.iter().any(|note| note == text) {
            self.notes.push(text.to_owned());
        }
    }

    fn policy(&mut self) -> Value {
        let mut policy = Map::new();
        policy.insert("version".to_owned(), json!(1));
        if let Some(registries) = self.registries.take() {
            policy.insert("registries".to_owned(), Value::Array(registries));
        }
        if let Some(mut hub) = self.hub.take() {
            if self.organizations.is_empty() {
                self.note("which organization it is, the settings do not say: write it into docker-hub.organizations, or give --organization");
            }
            hub.insert("organizations".to_owned(), json!(self.organizations));
            policy.insert("docker-hub".to_owned(), Value::Object(hub));
        }
        let load = if self.deny_load { "deny" } else { "allow" };
        policy.insert("local-images".to_owned(), json!({ "load": load }));
        if !self.deny_load {
            self.note("`docker load` is allowed, as with Docker unless blockDockerLoad is set; local-images.load: deny is safer");
        }
        self.note("owners of the organization are exempt with Docker: write their names into subjects.owners");
        Value::Object(policy)
    }
}

fn flag(values: &Map<String, Value>, key: &str) -> bool {
    values.get(key) == Some(&json!(true))
}
