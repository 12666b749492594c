//! A lab with ramgate's mirror in it, and clients as guests.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ramgate_lab::{Command, EngineKind, Image, Lab, LabOptions, Process};
use serde_json::{Value, json};

/// A lab without an engine.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) lab: Lab,
    _containerd: Process,
}

// === impl Place ===

impl Place {
    pub(crate) fn new(ramgate: &Path) -> Result<Self> {
        // Without tokens, so that what is pushed for a test needs none.
        let options = LabOptions {
            tokens: false,
            ..LabOptions::default()
        };
        let lab = Lab::start(EngineKind::Docker20_10, &options)?;
        let mut settings = Lab::settings();
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("plugin".to_owned(), json!({ "enabled": false }));
        }
        lab.install_ramgate(ramgate, &policy(), &settings)?;
        lab.start_ramgate()?;
        lab.write_file(HOSTS_TOML, HOSTS)?;
        lab.write_file("/tmp/location.conf", LOCATION)?;
        lab.write_file("/tmp/mirror.conf", MIRROR)?;
        let containerd = lab
            .puller("containerd")
            .args(["--address", SOCKET, "--root", "/tmp/containerd"])
            .args(["--state", "/run/containerd-puller"])
            .spawn("containerd")?;
        let started = Instant::now();
        while !lab.path(SOCKET).exists() {
            ensure!(
                started.elapsed() < Duration::from_secs(20),
                "containerd does not start:\n{}",
                containerd.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self {
            lab,
            _containerd: containerd,
        })
    }

    /// Nothing counted yet.
    pub(crate) fn begin(&self) -> Result<()> {
        self.lab
            .upstreams()
            .iter()
            .for_each(|upstream| upstream.forget());
        Ok(())
    }

    /// Puts a policy in force.
    pub(crate) fn policy(&self, policy: &Value) -> Result<()> {
        let in_force = || self.lab.ramgate_log().matches("policy in force").count();
        let before = in_force();
        self.lab.write_policy(policy)?;
        self.lab.signal_ramgate("HUP")?;
        let started = Instant::now();
        while in_force() <= before {
            ensure!(
                started.elapsed() < Duration::from_secs(10),
                "the policy does not come in force"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// containerd's own command line.
    pub(crate) fn ctr(&self) -> Command {
        self.lab.puller("ctr").args(["--address", SOCKET])
    }

    /// podman with these `registries.conf`, and a store of its own.
    pub(crate) fn podman(&self, conf: &str) -> Command {
        self.lab
            .puller("podman")
            .args(["--root", "/tmp/podman", "--runroot", "/run/podman-puller"])
            .args(["--storage-driver", "vfs"])
            .env("CONTAINERS_REGISTRIES_CONF", conf)
            .env("TMPDIR", "/tmp")
    }

    pub(crate) fn skopeo(&self) -> Command {
        self.lab.puller("skopeo").args(["--insecure-policy"])
    }

    /// Nobody but ramgate has asked the registries for anything.
    pub(crate) fn only_ramgate_asked(&self) -> Result<()> {
        for upstream in self.lab.upstreams() {
            for request in upstream.requests() {
                ensure!(request.user_agent.starts_with("ramgate"), "{request}");
            }
        }
        Ok(())
    }

    /// Nobody was asked for anything, nor connected to.
    pub(crate) fn nobody_was_asked(&self) -> Result<()> {
        for upstream in self.lab.upstreams() {
            let (host, connections) = (upstream.host(), upstream.connections());
            ensure!(
                connections == 0,
                "{host} was reached: {:?}",
                upstream.requests()
            );
        }
        Ok(())
    }
}

/// The image that `docker.io/library/alpine:3` stands for in every lab.
pub(crate) fn alpine() -> Result<Image> {
    Image::busybox("docker.io/library/alpine:3")
}

pub(crate) fn policy() -> Value {
    json!({
        "version": 1,
        "contact": "platform@acme.example",
        "registries": [{ "host": "docker.io" }, { "host": "ghcr.io", "repositories": ["acme/**"] }],
        "docker-hub": { "official": "allow" },
    })
}

pub(crate) const RESTRICTED: &str = "has been restricted by your administrators";
pub(crate) const COMMUNITY: &str =
    "image access denied: community images not allowed: docker.io/evil/tool";
pub(crate) const HOSTS_DIRECTORY: &str = "/tmp/hosts";
const HOSTS_TOML: &str = "/tmp/hosts/_default/hosts.toml";
/// A server, so that there is no way back to the registry; and the same as a host: without one, containerd 1.7 takes the file for broken,
/// says so in a log and goes to the registry.
const HOSTS: &str = r#"
server = "http://127.0.0.1:5050"
[host."http://127.0.0.1:5050"]
capabilities = ["pull", "resolve"]
"#;
const SOCKET: &str = "/run/containerd-puller.sock";
/// The mirror instead of the registries: there is no way back to them.
const LOCATION: &str = r#"
[[registry]]
prefix = "docker.io"
location = "127.0.0.1:5050/docker.io"
insecure = true
[[registry]]
prefix = "ghcr.io"
location = "127.0.0.1:5050/ghcr.io"
insecure = true
"#;
/// The mirror before the registry, which is asked where the mirror refuses.
const MIRROR: &str = r#"
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "127.0.0.1:5050/docker.io"
insecure = true
"#;
