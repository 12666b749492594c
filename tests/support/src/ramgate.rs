//! ramgate in a lab: installed, run, and the engine steered towards it.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::command::{Process, wait_until};
use crate::lab::{Lab, lock};

/// What the engine is told about ramgate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four settings that a server's owner sets one by one"
)]
pub struct Steering {
    /// To ask the authorization plugin.
    pub plugin: bool,
    /// To fetch Docker Hub's images from the mirror.
    pub mirror: bool,
    /// To fetch every registry's images from the mirror. Only engines that read `hosts.toml` can.
    pub hosts_toml: bool,
    /// To reach the network through the egress gate.
    pub egress: bool,
}

// === impl Steering ===

impl Steering {
    /// The authorization plugin, the mirror for Docker Hub and the egress gate.
    pub const STANDARD: Self = Self {
        plugin: true,
        mirror: true,
        hosts_toml: false,
        egress: true,
    };
}

// === impl Lab ===

impl Lab {
    /// The policy that tests start from: of Docker Hub what is official, one organization and one repository; of the other stand-ins
    /// one host of files.
    pub fn policy() -> Value {
        json!({
            "version": 1,
            "contact": "platform@acme.example",
            "registries": [{ "host": "docker.io" }],
            "docker-hub": {
                "official": "allow",
                "organizations": ["acme"],
                "repositories": ["grafana/grafana"],
            },
            "egress": { "hosts": ["files.example"] },
        })
    }

    /// The same with a registry that users push to, and no repository named: for whatever judges by more than names.
    pub fn strict_policy() -> Value {
        json!({
            "version": 1,
            "contact": "platform@acme.example",
            "registries": [
                { "host": "docker.io" },
                { "host": "ghcr.io", "repositories": ["acme/**"], "actions": ["pull", "push"] },
            ],
            "docker-hub": { "organizations": ["acme"], "official": "allow" },
            "local-images": { "unknown": "allow" },
            "egress": { "hosts": ["files.example"] },
        })
    }

    /// Has ramgate read what goes to registries, as an administrator would: an authority for the policy that is written, trusted by
    /// the engine with all else that it trusts. Before ramgate starts, with [`Self::inspecting_settings`].
    ///
    /// # Errors
    ///
    /// When there is an authority already, or a file cannot be written.
    pub fn trust_inspection(&self) -> Result<()> {
        self.run(BINARY, &["egress", "ca", "init"])?
            .expect_success()?;
        let shown = self
            .run(BINARY, &["egress", "ca", "show"])?
            .expect_success()?;
        let trusted = self.read_file(BUNDLE)?;
        self.write_file(BUNDLE, format!("{trusted}\n{}", shown.stdout))
    }

    /// [`Self::settings`], and what goes to registries is read.
    pub fn inspecting_settings() -> Value {
        let mut settings = Self::settings();
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("egress".to_owned(), json!({ "inspect": true }));
        }
        settings
    }

    /// The settings a ramgate in a lab needs: its upstreams are the stand-ins, known by the lab's own authority.
    pub fn settings() -> Value {
        let upstream =
            |host: &str| json!({ "url": format!("https://{host}"), "ca-file": Self::CA_FILE });
        // Everything in a lab has a private address, which names lead to only if the settings have them.
        let mut docker_hub = upstream("registry-1.docker.io");
        if let Some(upstream) = docker_hub.as_object_mut() {
            upstream.insert("token-realms".to_owned(), json!(["auth.docker.io"]));
        }
        json!({ "mirror": { "upstreams": {
            "docker.io": docker_hub,
            "ghcr.io": upstream("ghcr.io"),
        } } })
    }

    /// Writes settings that name Docker Hub's stand-in and nothing else: it is at a private address, which the mirror fetches from
    /// only where the settings name it. Its authority is one of the system's.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn name_docker_hub(&self) -> Result<()> {
        let upstream =
            json!({ "url": "https://registry-1.docker.io", "token-realms": ["auth.docker.io"] });
        self.write_settings(&json!({ "mirror": { "upstreams": { "docker.io": upstream } } }))
    }

    /// Puts the program `binary` of the host, a policy and settings where a server has them.
    ///
    /// # Errors
    ///
    /// When the program cannot be read.
    pub fn install_ramgate(&self, binary: &Path, policy: &Value, settings: &Value) -> Result<()> {
        std::fs::copy(binary, self.path(BINARY))
            .with_context(|| format!("copying `{}`", binary.display()))?;
        self.write_settings(settings)?;
        self.write_policy(policy)
    }

    /// Writes `/etc/ramgate/policy.json`, in one step as an editor does.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_policy(&self, policy: &Value) -> Result<()> {
        self.write_file(
            "/etc/ramgate/policy.json",
            serde_json::to_string_pretty(policy)?,
        )
    }

    /// Writes `/etc/ramgate/settings.json`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_settings(&self, settings: &Value) -> Result<()> {
        self.write_file(SETTINGS, serde_json::to_string_pretty(settings)?)
    }

    /// Runs `ramgate serve` and waits until every gate that the settings enable takes connections.
    ///
    /// # Errors
    ///
    /// When it runs already, leaves instead, or takes longer than ten seconds. The error shows its log.
    pub fn start_ramgate(&self) -> Result<()> {
        let mut ramgate = lock(&self.ramgate);
        if ramgate.is_some() {
            bail!("ramgate runs already");
        }
        let settings: Value = serde_json::from_str(&self.read_file(SETTINGS)?)?;
        let process = self.command(BINARY).args(["serve"]).spawn(RAMGATE)?;
        wait_until("ramgate's gates", Duration::from_secs(10), || {
            if let Some(status) = process.status()? {
                bail!("ramgate left: {status}");
            }
            Ok(self.gates_are_open(&settings)?.then_some(()))
        })
        .with_context(|| format!("starting ramgate\n{}", process.log()))?;
        *ramgate = Some(process);
        Ok(())
    }

    /// Stops ramgate as a service manager does.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop_ramgate(&self) -> Result<ExitStatus> {
        let ramgate = lock(&self.ramgate).take();
        ramgate
            .context("ramgate does not run")?
            .stop(Duration::from_secs(10))
    }

    /// Ends ramgate in the middle of whatever it does, as a crash would.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill_ramgate(&self) -> Result<ExitStatus> {
        let ramgate = lock(&self.ramgate).take();
        let ramgate = ramgate.context("ramgate does not run")?;
        ramgate.signal("KILL")?;
        ramgate.wait(Duration::from_secs(5))
    }

    /// Sends ramgate a signal, as in `HUP` to make it read its policy again, or `KILL`.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn signal_ramgate(&self, signal: &str) -> Result<()> {
        lock(&self.ramgate)
            .as_ref()
            .context("ramgate does not run")?
            .signal(signal)
    }

    /// ramgate's process id inside of the lab; `None` while it does not run.
    pub fn ramgate_pid(&self) -> Option<u32> {
        lock(&self.ramgate).as_ref().map(Process::pid)
    }

    /// What ramgate has printed, over all its runs.
    pub fn ramgate_log(&self) -> String {
        self.log(RAMGATE)
    }

    /// Tells the engine about ramgate, in `daemon.json`, `hosts.toml` and its environment. Takes effect when it starts.
    ///
    /// # Errors
    ///
    /// When the engine does not read `hosts.toml` and should.
    pub fn steer_engine(&self, steering: Steering) -> Result<()> {
        self.steer_engine_with(steering, &json!({}))
    }

    /// As [`Self::steer_engine`], with `extra` in `daemon.json`.
    ///
    /// # Errors
    ///
    /// As [`Self::steer_engine`].
    pub fn steer_engine_with(&self, steering: Steering, extra: &Value) -> Result<()> {
        let mut configuration = extra.as_object().cloned().unwrap_or_default();
        let mut configure = |key: &str, value| configuration.insert(key.to_owned(), value);
        if steering.plugin {
            configure("authorization-plugins", json!(["ramgate"]));
        }
        if steering.mirror {
            configure("registry-mirrors", json!([MIRROR_URL]));
        }
        let mut environment = Vec::new();
        if steering.egress && self.kind().reads_proxies() {
            let proxies = json!({
                "http-proxy": EGRESS_URL,
                "https-proxy": EGRESS_URL,
                "no-proxy": NO_PROXY,
            });
            configure("proxies", proxies);
        } else if steering.egress {
            environment = vec![
                ("HTTP_PROXY", EGRESS_URL),
                ("HTTPS_PROXY", EGRESS_URL),
                ("NO_PROXY", NO_PROXY),
            ];
        }
        if steering.hosts_toml {
            if !self.kind().reads_hosts_toml() {
                bail!("Docker {} does not read hosts.toml", self.kind());
            }
            self.write_file(HOSTS_TOML, format!("server = \"{MIRROR_URL}\"\n"))?;
        } else {
            self.remove_file(HOSTS_TOML)?;
        }
        self.set_engine_environment(&environment);
        self.configure_engine(&Value::Object(configuration))
    }

    fn gates_are_open(&self, settings: &Value) -> Result<bool> {
        let setting = |gate: &str, key: &str, default: &'static str| {
            let gate = settings.get(gate);
            if gate.and_then(|gate| gate.get("enabled")) == Some(&json!(false)) {
                return None;
            }
            let value = gate.and_then(|gate| gate.get(key)).and_then(Value::as_str);
            Some(value.unwrap_or(default).to_owned())
        };
        let listens = [
            setting("mirror", "listen", "127.0.0.1:5050"),
            setting("egress", "listen", "127.0.0.1:5051"),
        ];
        for listen in listens.into_iter().flatten() {
            let address: SocketAddr = listen.parse()?;
            if !self.takes_connections(address) {
                return Ok(false);
            }
        }
        Ok(setting("plugin", "socket", PLUGIN_SOCKET)
            .is_none_or(|socket| UnixStream::connect(self.path(&socket)).is_ok()))
    }
}

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
const RAMGATE: &str = "ramgate";
const BINARY: &str = "/usr/local/bin/ramgate";
const SETTINGS: &str = "/etc/ramgate/settings.json";
const PLUGIN_SOCKET: &str = "/run/docker/plugins/ramgate.sock";
const MIRROR_URL: &str = "http://127.0.0.1:5050";
const EGRESS_URL: &str = "http://127.0.0.1:5051";
const NO_PROXY: &str = "localhost,127.0.0.0/8";
const HOSTS_TOML: &str = "/etc/docker/certs.d/_default/hosts.toml";
