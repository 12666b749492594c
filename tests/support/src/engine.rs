//! The engines: which there are, what each can do, and how a lab runs one.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use crate::command::{Output, wait_until};
use crate::directory;
use crate::lab::{Lab, lock};
use crate::recorder::Recorder;

/// A Docker Engine to test against, as Debian packages it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// 20.10 of Debian 12.
    Docker20_10,
    /// 26.1 of Debian 13.
    Docker26_1,
    /// 28.5 of Debian forky, images in overlay2.
    Docker28_5,
    /// 28.5 of Debian forky, images in the containerd store.
    Docker28_5Containerd,
}

/// One of an engine's two image builders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builder {
    /// BuildKit, through buildx.
    BuildKit,
    /// The one before BuildKit.
    Classic,
}

// === impl EngineKind ===

impl EngineKind {
    /// Every engine, oldest first.
    pub const ALL: [Self; 4] = [
        Self::Docker20_10,
        Self::Docker26_1,
        Self::Docker28_5,
        Self::Docker28_5Containerd,
    ];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker20_10 => "20.10",
            Self::Docker26_1 => "26.1",
            Self::Docker28_5 => "28.5",
            Self::Docker28_5Containerd => "28.5 containerd",
        }
    }

    /// The version that `provision` has found, as in `28.5.2`. A suite of Debian that is not released moves on.
    ///
    /// # Errors
    ///
    /// When `provision` has not been run.
    pub fn version(self) -> Result<String> {
        let version = directory::package_version(self.suite(), "docker.io")?;
        let end = version.find(['+', '-', '~']);
        Ok(end
            .and_then(|end| version.get(..end))
            .unwrap_or(&version)
            .to_owned())
    }

    /// Whether images lie in the containerd store.
    pub fn has_containerd_store(self) -> bool {
        self == Self::Docker28_5Containerd
    }

    /// Whether it mounts images into containers: since 28.0.
    pub fn mounts_images(self) -> bool {
        matches!(self, Self::Docker28_5 | Self::Docker28_5Containerd)
    }

    /// Whether it reads `/etc/docker/certs.d/_default/hosts.toml`: since 28.0.
    pub fn reads_hosts_toml(self) -> bool {
        matches!(self, Self::Docker28_5 | Self::Docker28_5Containerd)
    }

    /// Whether `daemon.json` may have `proxies`: since 23.0. Before it, proxies are taken from the environment.
    pub fn reads_proxies(self) -> bool {
        self != Self::Docker20_10
    }

    pub(crate) fn suite(self) -> &'static str {
        match self {
            Self::Docker20_10 => "bookworm",
            Self::Docker26_1 => "trixie",
            Self::Docker28_5 | Self::Docker28_5Containerd => "forky",
        }
    }

    /// What `daemon.json` says in every lab.
    fn configuration(self, cgroup: &str) -> Value {
        let mut configuration = json!({
            "bridge": "none",
            "cgroup-parent": format!("/{cgroup}"),
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "iptables": false,
            "ip6tables": false,
            "shutdown-timeout": 1,
        });
        let store = if self.has_containerd_store() {
            json!({ "features": { "containerd-snapshotter": true } })
        } else {
            json!({ "storage-driver": "overlay2" })
        };
        merge(&mut configuration, &store);
        configuration
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Builder ===

impl Builder {
    /// Both.
    pub const ALL: [Self; 2] = [Self::BuildKit, Self::Classic];
}

// === impl Lab ===

impl Lab {
    /// Writes `daemon.json`: what every lab needs, and `extra` merged into it. Read when the engine starts or is reloaded.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn configure_engine(&self, extra: &Value) -> Result<()> {
        let mut configuration = self.kind().configuration(self.name());
        merge(&mut configuration, extra);
        self.write_file(
            "/etc/docker/daemon.json",
            serde_json::to_string_pretty(&configuration)?,
        )
    }

    /// Sets the environment that the engine starts with, beside the usual.
    pub fn set_engine_environment(&self, environment: &[(&str, &str)]) {
        *lock(&self.engine_environment) = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    }

    /// Starts the engine and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it runs already, leaves instead of answering, or takes longer than half a minute. The error shows its log.
    pub fn start_engine(&self) -> Result<()> {
        let mut engine = lock(&self.engine);
        if engine.is_some() {
            bail!("the engine runs already");
        }
        let mut dockerd = self.command("dockerd");
        for (name, value) in lock(&self.engine_environment).iter() {
            dockerd = dockerd.env(name, value);
        }
        let process = dockerd.spawn(ENGINE)?;
        // dockerd gives a plugin that is not there 15 s.
        wait_until("the engine's socket", Duration::from_secs(30), || {
            if let Some(status) = process.status()? {
                bail!("dockerd left: {status}");
            }
            Ok(self.ping().ok())
        })
        .with_context(|| format!("starting the engine\n{}", process.log()))?;
        *engine = Some(process);
        Ok(())
    }

    /// Stops the engine and its containers.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop_engine(&self) -> Result<ExitStatus> {
        let engine = lock(&self.engine).take();
        engine
            .context("the engine does not run")?
            .stop(Duration::from_secs(20))
    }

    /// Starts the engine anew.
    ///
    /// # Errors
    ///
    /// As stopping and starting it.
    pub fn restart_engine(&self) -> Result<()> {
        self.stop_engine()?;
        self.start_engine()
    }

    /// Sends the engine a signal, as in `HUP` to make it read `daemon.json` again.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn signal_engine(&self, signal: &str) -> Result<()> {
        lock(&self.engine)
            .as_ref()
            .context("the engine does not run")?
            .signal(signal)
    }

    /// What the engine has printed, over all its runs.
    pub fn engine_log(&self) -> String {
        self.log(ENGINE)
    }

    /// Runs the engine's own docker CLI.
    ///
    /// # Errors
    ///
    /// When it does not end within a minute. That it failed is in the output.
    pub fn docker(&self, args: &[&str]) -> Result<Output> {
        self.command("docker").args(args).run()
    }

    /// Builds an image from the text of a Dockerfile, with an empty context and no network for its steps.
    ///
    /// # Errors
    ///
    /// As [`Self::docker`].
    pub fn build(&self, builder: Builder, tag: &str, dockerfile: &str) -> Result<Output> {
        let build = match builder {
            Builder::BuildKit => self.command("docker").args(["buildx", "build"]),
            Builder::Classic => self
                .command("docker")
                .args(["build"])
                .env("DOCKER_BUILDKIT", "0"),
        };
        build
            .args(["--network", "none", "--tag", tag, "-"])
            .stdin(dockerfile)
            .run()
    }

    /// Starts an authorization plugin that allows everything and remembers it, and names it in `daemon.json`.
    ///
    /// # Errors
    ///
    /// When there is one already, or a file cannot be written.
    pub fn record(&self) -> Result<Recorder> {
        let directory = self.path("/run/docker/plugins");
        std::fs::create_dir_all(&directory)?;
        let recorder = Recorder::start(&directory.join("recorder.sock"))?;
        self.configure_engine(&json!({ "authorization-plugins": ["recorder"] }))?;
        Ok(recorder)
    }

    /// Sends the engine bytes as they are, and reads until it closes the connection: ask it to.
    ///
    /// # Errors
    ///
    /// When it does not take them, or does not close within twenty seconds.
    pub fn send_raw(&self, request: &[u8]) -> Result<Vec<u8>> {
        let mut socket = UnixStream::connect(self.path("/run/docker.sock"))?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        // It may answer and close before it has read everything.
        let sent = socket.write_all(request);
        let mut answer = Vec::new();
        let read = socket.read_to_end(&mut answer);
        if answer.is_empty() {
            sent?;
            read?;
        }
        Ok(answer)
    }

    /// Asks the engine for a sign of life.
    fn ping(&self) -> Result<()> {
        let mut socket = UnixStream::connect(self.path("/run/docker.sock"))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.write_all(b"GET /_ping HTTP/1.0\r\nHost: lab\r\n\r\n")?;
        let mut status = [0; 12];
        socket.read_exact(&mut status)?;
        // Whatever it answers, it answers: an authorization plugin may refuse even this.
        Ok(())
    }
}

/// Lays `extra` over `base`, object by object.
fn merge(base: &mut Value, extra: &Value) {
    match (base, extra) {
        (Value::Object(base), Value::Object(extra)) => {
            for (key, value) in extra {
                merge(
                    base.entry(key).or_insert_with(|| Value::Object(Map::new())),
                    value,
                );
            }
        }
        (base, extra) => *base = extra.clone(),
    }
}

const ENGINE: &str = "dockerd";
