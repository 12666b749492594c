//! What settings of Docker say, wherever they were written down.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What was read so far.
#[derive(Default)]
pub(super) struct Import {
    organizations: Vec<String>,
    registries: Option<Vec<Value>>,
    hub: Option<Map<String, Value>>,
    deny_load: bool,
    notes: Vec<String>,
    /// Whether anything was known again.
    found: bool,
}

// === impl Import ===

impl Import {
    pub(super) fn new(organizations: Vec<String>) -> Self {
        Self {
            organizations,
            ..Self::default()
        }
    }

    /// Takes in what a file says. Returns whether anything in it was known.
    ///
    /// # Errors
    /// What cannot be read for certain.
    pub(super) fn read(&mut self, value: &Value) -> Result<bool, String> {
        let before = std::mem::take(&mut self.found);
        self.search(value)?;
        let found = self.found;
        self.found |= before;
        Ok(found)
    }

    /// Finds settings at any depth: Terraform nests resources in modules.
    fn search(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Object(object) => self.object(object),
            Value::Array(elements) => elements.iter().try_for_each(|element| self.search(element)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn object(&mut self, object: &Map<String, Value>) -> Result<(), String> {
        let values = object.get("values").or_else(|| object.get("attributes"));
        if let (Some(Value::String(kind)), Some(Value::Object(values))) =
            (object.get("type"), values)
            && self.resource(kind, values)?
        {
            return Ok(());
        }
        if let Some(Value::Object(images)) = object.get("restricted_images") {
            self.images(images)?;
        }
        if object.contains_key("custom_registries") || object.contains_key("standard_registries") {
            return self.registries(object);
        }
        if object.contains_key("configurationFileVersion") {
            self.desktop(object);
            return Ok(());
        }
        for (key, value) in object {
            match key.as_str() {
                // A plan has each resource twice: as it is to be, and as a change.
                "restricted_images" | "resource_changes" | "prior_state" | "configuration" => {}
                IMAGES | REGISTRIES => self.named(key, value)?,
                _ => self.search(value)?,
            }
        }
        Ok(())
    }

    /// Resources of a kind as the configuration has them: by name, and each once or in a list.
    fn named(&mut self, kind: &str, resources: &Value) -> Result<(), String> {
        let elements = |value: &Value| {
            value
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![value.clone()])
        };
        for by_name in elements(resources) {
            for (name, resource) in by_name.as_object().into_iter().flatten() {
                for resource in elements(resource) {
                    let Value::Object(values) = resource else {
                        return Err(format!("{kind}.{name}: a resource is expected"));
                    };
                    if let Some(key) = ["count", "for_each", "dynamic"]
                        .into_iter()
                        .find(|key| values.contains_key(*key))
                    {
                        return Err(format!(
                            "{kind}.{name}: `{key}` is known to Terraform alone; {SHOW}"
                        ));
                    }
                    self.resource(kind, &values)
                        .map_err(|problem| format!("{kind}.{name}: {problem}"))?;
                }
            }
        }
        Ok(())
    }

    /// Whether `kind` is one that means something here.
    fn resource(&mut self, kind: &str, values: &Map<String, Value>) -> Result<bool, String> {
        match kind {
            IMAGES => self.images(values)?,
            REGISTRIES => self.registries(values)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Image Access Management.
    fn images(&mut self, values: &Map<String, Value>) -> Result<(), String> {
        self.found = true;
        self.organization(values);
        if !flag(values, "enabled")? {
            self.note("image access management is off: all of Docker Hub's images are allowed");
            return Ok(());
        }
        let switch = |key| flag(values, key).map(|on| if on { "allow" } else { "deny" });
        let categories = [
            ("official", switch("allow_official_images")?),
            ("verified-publisher", switch("allow_verified_publishers")?),
            ("sponsored-open-source", "deny"),
            ("community", "deny"),
        ];
        let hub: Map<String, Value> = categories
            .into_iter()
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect();
        if self.hub.as_ref().is_some_and(|before| *before != hub) {
            return Err(format!(
                "image access management is set twice, and differently; {ONE}"
            ));
        }
        self.hub = Some(hub);
        self.note("sponsored open source counts as community with Docker, so it is deny; it has a switch of its own here");
        self.note("the repository allow-list is not in Docker's API: write it into docker-hub.repositories");
        Ok(())
    }

    /// Registry Access Management.
    fn registries(&mut self, values: &Map<String, Value>) -> Result<(), String> {
        self.found = true;
        self.organization(values);
        if !flag(values, "enabled")? {
            self.note("registry access management is off: all registries are allowed");
            return Ok(());
        }
        let both = json!(["pull", "push"]);
        let mut entries: BTreeMap<String, Value> = BTreeMap::new();
        if docker_hub(values)? {
            entries.insert(
                "docker.io".to_owned(),
                json!({ "host": "docker.io", "actions": both }),
            );
        }
        for registry in list(values, "custom_registries")? {
            let address = registry.get("address").and_then(Value::as_str);
            let address = address
                .filter(|address| !address.contains("${"))
                .ok_or_else(|| format!("custom_registries: an `address` is not known before Terraform has run; {SHOW}"))?;
            if !flag(registry, "allowed")? {
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
        let entries: Vec<Value> = entries.into_values().collect();
        if self
            .registries
            .as_ref()
            .is_some_and(|before| *before != entries)
        {
            return Err(format!(
                "registry access management is set twice, and differently; {ONE}"
            ));
        }
        self.registries = Some(entries);
        self.note("Docker cannot tell push from pull, so both are allowed everywhere: take `push` out where nobody pushes");
        self.note("hosts that registries redirect to had to be listed with Docker and need not be here: take them out");
        Ok(())
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
        match values.get("org_name") {
            Some(Value::String(name)) if name.contains("${") => {
                self.note(&format!(
                    "`org_name` is `{name}`, which Terraform alone knows: give --organization"
                ));
            }
            Some(Value::String(name)) if !self.organizations.contains(name) => {
                self.organizations.push(name.clone());
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str) {
        if !self.notes.iter().any(|note| note == text) {
            self.notes.push(text.to_owned());
        }
    }

    /// The policy, and what could not be carried over to it.
    pub(super) fn policy(mut self) -> (Value, Vec<String>) {
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
        (Value::Object(policy), self.notes)
    }
}

/// Whether Docker Hub is on the list: the API has it among others, Terraform by itself.
fn docker_hub(values: &Map<String, Value>) -> Result<bool, String> {
    let mut standard = Vec::new();
    if values.contains_key("standard_registries") {
        let listed = list(values, "standard_registries")?.into_iter();
        standard.extend(
            listed.filter(|one| one.get("id").and_then(Value::as_str) == Some("DockerHub")),
        );
    }
    match values.get("standard_registry_docker_hub") {
        None | Some(Value::Null) => {}
        Some(Value::Object(hub)) => standard.push(hub),
        Some(other) => return Err(unknown("standard_registry_docker_hub", other)),
    }
    let allowed = standard.into_iter().map(|hub| flag(hub, "allowed"));
    allowed
        .reduce(|one, other| Ok(one? && other?))
        .unwrap_or(Ok(false))
}

fn list<'a>(
    values: &'a Map<String, Value>,
    key: &str,
) -> Result<Vec<&'a Map<String, Value>>, String> {
    match values.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list @ Value::Array(elements)) => {
            let objects: Option<Vec<_>> = elements.iter().map(Value::as_object).collect();
            objects.ok_or_else(|| unknown(key, list))
        }
        Some(other) => Err(unknown(key, other)),
    }
}

/// What is not there may be what Terraform does not know yet; to take it for `false` could switch all control off.
fn flag(values: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match values.get(key) {
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(unknown(key, other)),
        None => Err(format!("`{key}` is missing; {SHOW}")),
    }
}

fn unknown(key: &str, value: &Value) -> String {
    format!("`{key}` is `{value}`, which says nothing for certain; {SHOW}")
}

const IMAGES: &str = "docker_org_setting_image_access_management";
const REGISTRIES: &str = "docker_org_setting_registry_access_management";
const SHOW: &str = "of Terraform, give the output of `terraform show -json` once it was applied";
const ONE: &str = "give the settings of one organization";
