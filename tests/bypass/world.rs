//! The state of an engine and of the world around it: what an attempt is judged by.
//!
//! Answers are not: an engine may say no and do it all the same.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use ramgate_lab::Lab;
use serde_json::Value;

use crate::attempt::Goal;
use crate::vocabulary::{Vocabulary, is_allowed};
use crate::wire;

/// What is on an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Each image by its ID and each of its names, and by its ID and no name.
    pub(crate) images: BTreeMap<(String, String), Kind>,
    pub(crate) containers: BTreeMap<String, Container>,
    /// Each service by its ID and the image it names.
    pub(crate) services: BTreeSet<(String, String)>,
    /// Each managed plugin by its name, and whether it runs.
    pub(crate) plugins: BTreeMap<String, bool>,
    pub(crate) in_swarm: bool,
}

/// What an image is, by its own label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It comes from a repository that is allowed.
    Allowed,
    /// It does not, or nobody knows.
    Denied,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) kind: Kind,
    /// When it was started last; empty if never.
    pub(crate) started: String,
}

/// Something that must not be.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) goal: Goal,
    pub(crate) detail: String,
}

// === impl State ===

impl State {
    /// Asks the engine.
    pub(crate) fn of(lab: &Lab) -> Result<Self> {
        let get = |path: &str| ask(lab, "GET", path);
        let mut state = Self::default();
        for image in list(get("/images/json?all=1")?) {
            let id = text(&image, "/Id");
            let kind = kind(&text(&image, "/Labels/marker"));
            for names in ["/RepoTags", "/RepoDigests"] {
                for name in list(image.pointer(names).cloned()) {
                    let name = name.as_str().unwrap_or_default();
                    if !name.starts_with("<none>") {
                        state.images.insert((id.clone(), name.to_owned()), kind);
                    }
                }
            }
            state.images.insert((id, String::new()), kind);
        }
        for container in list(get("/containers/json?all=1")?) {
            let id = text(&container, "/Id");
            // One that is on its way out may be gone.
            if let Some(detail) = get(&format!("/containers/{id}/json"))? {
                let container = Container::of(&detail, &state.images);
                state.containers.insert(id, container);
            }
        }
        state.in_swarm = get("/swarm")?.is_some();
        if state.in_swarm {
            for service in list(get("/services")?) {
                let image = text(&service, "/Spec/TaskTemplate/ContainerSpec/Image");
                state.services.insert((text(&service, "/ID"), image));
            }
        }
        for plugin in list(get("/plugins")?) {
            let runs = plugin.pointer("/Enabled") == Some(&Value::Bool(true));
            state.plugins.insert(text(&plugin, "/Name"), runs);
        }
        Ok(state)
    }

    /// What is here and was not before, and must not be.
    pub(crate) fn findings(&self, before: &Self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut found = |goal, detail: String| findings.push(Finding { goal, detail });
        for (image, kind) in &self.images {
            if *kind == Kind::Denied && !before.images.contains_key(image) {
                found(Goal::Image, format!("the image {} {}", image.0, image.1));
            }
        }
        for (id, container) in &self.containers {
            let known = before.containers.get(id);
            if container.kind == Kind::Denied && known.is_none() {
                found(Goal::Container, format!("the container {id}"));
            }
            let started = known.map_or("", |known| known.started.as_str());
            if container.kind == Kind::Denied && container.started != started {
                found(Goal::Started, format!("the container {id} was started"));
            }
        }
        for (id, image) in &self.services {
            let denied = DENIED_WORDS.iter().any(|word| image.contains(word));
            if denied && !before.services.contains(&(id.clone(), image.clone())) {
                found(Goal::Service, format!("the service {id} of {image}"));
            }
        }
        for (plugin, runs) in &self.plugins {
            let known = before.plugins.get(plugin);
            if known.is_none() || (*runs && known == Some(&false)) {
                found(
                    Goal::Plugin,
                    format!("the plugin {plugin}, which runs: {runs}"),
                );
            }
        }
        findings
    }
}

// === impl Container ===

impl Container {
    fn of(detail: &Value, images: &BTreeMap<(String, String), Kind>) -> Self {
        let image = text(detail, "/Image");
        let label = kind(&text(detail, "/Config/Labels/marker"));
        let known = images.get(&(image.clone(), String::new()));
        let mut kind = known.copied().unwrap_or(label);
        if image.is_empty() {
            kind = Kind::Denied;
        }
        // Those asked for, and those there are, which may come from another container.
        for (mounts, source) in [("/HostConfig/Mounts", "/Source"), ("/Mounts", "/Name")] {
            for mount in list(detail.pointer(mounts).cloned()) {
                if text(&mount, "/Type") == "image" && is_denied(&text(&mount, source), images) {
                    kind = Kind::Denied;
                }
            }
        }
        let started = text(detail, "/State/StartedAt");
        let never = started.starts_with("0001-");
        Self {
            kind,
            started: if never { String::new() } else { started },
        }
    }
}

/// What reached the stand-ins since they last forgot, and must not have.
pub(crate) fn reached(lab: &Lab, goal: Goal) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |goal, detail: String| findings.push(Finding { goal, detail });
    for upstream in [lab.ghcr(), lab.denied_host()] {
        // A connection of before may have been kept, so either counts.
        if upstream.connections() > 0 || !upstream.requests().is_empty() {
            found(
                Goal::Asked,
                format!("{} was reached: {:?}", upstream.host(), upstream.requests()),
            );
        }
    }
    let files = lab.files_host();
    let named = files.server_names().into_iter();
    let named = named.filter(|name| name.as_deref() != Some(FILES_HOST));
    let asked = files.requests().into_iter().filter(|request| {
        let host = request.host.split(':').next();
        host != Some(FILES_HOST) && host != Some(READ_HOST)
    });
    let named = named.map(|name| format!("TLS for {name:?}"));
    for what in named.chain(asked.map(|request| request.to_string())) {
        found(Goal::Named, format!("{FILES_HOST}'s server had {what}"));
    }
    let hub = lab.docker_hub();
    for request in hub.requests() {
        let of_denied = request.path.contains("evil");
        if of_denied && (request.path.starts_with("/v2/") || request.path.starts_with("/token")) {
            found(Goal::Asked, format!("Docker Hub was asked: {request}"));
        }
        if !["GET", "HEAD"].contains(&request.method.as_str()) {
            found(Goal::Pushed, format!("Docker Hub was given: {request}"));
        }
        if request.path.starts_with("/v2/") && !request.user_agent.starts_with("ramgate") {
            found(
                Goal::HubReached,
                format!("Docker Hub was reached: {request}"),
            );
        }
    }
    // Who opens a connection and asks nothing has no name: this one counts where nothing else has a reason to.
    if goal == Goal::HubReached && hub.connections() > 0 {
        found(Goal::HubReached, "Docker Hub was reached".to_owned());
    }
    findings
}

/// What an answer gives away.
pub(crate) fn given_away(answer: &[u8], vocabulary: &Vocabulary) -> Result<Vec<Finding>> {
    let found = vocabulary.denied_content(answer)?;
    Ok(found
        .map(|text| Finding {
            goal: Goal::Bytes,
            detail: format!("the answer holds {text:?}"),
        })
        .into_iter()
        .collect())
}

/// Whether the image that `source` names, by whatever name or part of its ID, is denied.
fn is_denied(source: &str, images: &BTreeMap<(String, String), Kind>) -> bool {
    let bare = source.trim_start_matches("sha256:");
    let named = |id: &str, name: &str| {
        let familiar = source.trim_start_matches("docker.io/");
        id.trim_start_matches("sha256:").starts_with(bare)
            || name == familiar
            || name.strip_suffix(":latest") == Some(familiar)
    };
    DENIED_WORDS.iter().any(|word| source.contains(word))
        || images
            .iter()
            .any(|((id, name), kind)| *kind == Kind::Denied && named(id, name))
}

/// Asks a lab's engine.
pub(crate) fn ask(lab: &Lab, method: &str, path: &str) -> Result<Option<Value>> {
    let socket = std::os::unix::net::UnixStream::connect(lab.path("/run/docker.sock"))?;
    wire::ask(socket, method, path)
}

fn kind(marker: &str) -> Kind {
    if is_allowed(marker) {
        Kind::Allowed
    } else {
        Kind::Denied
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// What the server of files is allowed to be asked for.
const FILES_HOST: &str = "files.example";
/// And by the gate that reads what goes there.
const READ_HOST: &str = "read.example";
/// What the names of all that is denied have in common.
const DENIED_WORDS: [&str; 2] = ["evil", "ghcr.io"];
