//! Where attempts are made: one engine, behind ramgate, or as a control beside a ramgate that allows everything.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions, Overheard, Steering};
use serde_json::{Value, json};

use crate::attempt::{Act, Attempt, Goal, Request, Tunnel};
use crate::vocabulary::{self, Vocabulary};
use crate::wire;
use crate::world::{self, Finding, State};

/// What stands between the attempts and the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gates {
    /// All three gates, under the base policy.
    InForce,
    /// None: the engine knows nothing of ramgate, which serves its mirror and its proxy under a policy that allows everything.
    Open,
}

/// An engine, and what is on it.
#[derive(Debug)]
pub(crate) struct Stage {
    lab: Lab,
    /// Where nobody has any business.
    overheard: Vec<Overheard>,
    gates: Gates,
    vocabulary: Vocabulary,
    /// The start of every attempt without a `given`: one allowed image.
    bare: State,
    /// What was given, and what is on the engine since.
    given: Vec<String>,
    before: State,
    now: State,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What must not be, and is.
    pub(crate) findings: Vec<Finding>,
    /// The answer, for messages.
    pub(crate) answer: String,
}

// === impl Gates ===

impl Gates {
    /// Whether an attempt is made on this engine with these gates.
    pub(crate) fn concern(self, attempt: &Attempt, kind: EngineKind) -> bool {
        match self {
            Self::InForce => attempt.is_for(kind.name()),
            Self::Open => attempt.control_engine() == kind.name(),
        }
    }
}

// === impl Stage ===

impl Stage {
    pub(crate) fn new(kind: EngineKind, gates: Gates, ramgate: &Path) -> Result<Self> {
        let lab = Lab::start(kind, &LabOptions::default())?;
        vocabulary::publish(&lab)?;
        let (policy, steering) = match gates {
            Gates::InForce => (policy(), Steering::STANDARD),
            Gates::Open => (open_policy(), Steering::default()),
        };
        lab.install_ramgate(ramgate, &policy, &settings(gates))?;
        let overheard = equip(&lab)?;
        if gates == Gates::InForce {
            let authority = ["egress", "ca", "init"];
            lab.run("/usr/local/bin/ramgate", &authority)?
                .expect_success()?;
        }
        lab.start_ramgate()?;
        lab.steer_engine(steering)?;
        lab.start_engine()?;
        let mut stage = Self {
            vocabulary: Vocabulary::new(kind)?,
            lab,
            overheard,
            gates,
            bare: State::default(),
            given: Vec::new(),
            before: State::default(),
            now: State::default(),
        };
        if gates == Gates::InForce {
            stage.shell(REGISTRY_IS_OPEN)?;
        }
        stage.shell(PULL_ALPINE)?;
        stage.bare = State::of(&stage.lab)?;
        stage.before = stage.bare.clone();
        stage.now = stage.bare.clone();
        Ok(stage)
    }

    /// Makes an attempt.
    pub(crate) fn attempt(&mut self, attempt: &Attempt) -> Result<Outcome> {
        self.prepare(&attempt.given)?;
        for upstream in self.lab.upstreams() {
            upstream.forget();
        }
        self.overheard.iter().for_each(Overheard::forget);
        let answer = self.act(&attempt.act)?;
        self.now = State::of(&self.lab)?;
        let mut findings = self.now.findings(&self.before);
        findings.extend(world::reached(&self.lab, attempt.goal));
        findings.extend(self.overheard());
        findings.extend(world::given_away(&answer, &self.vocabulary)?);
        let answer = String::from_utf8_lossy(&answer);
        Ok(Outcome {
            findings,
            answer: answer.chars().take(ANSWER_SHOWN_MAX).collect(),
        })
    }

    /// Removes what the last attempt has left, and sees to what this one is given.
    fn prepare(&mut self, given: &[String]) -> Result<()> {
        if self.given == given && self.tidy(&self.before.clone())? {
            return Ok(());
        }
        self.given.clear();
        if !self.tidy(&self.bare.clone())? {
            // What is missing is fetched again.
            self.open(&[PULL_ALPINE.to_owned()])?;
            let bare = self.tidy(&self.bare.clone())?;
            ensure!(
                bare,
                "the engine does not come back to its start: {:?}",
                self.now
            );
        }
        if !given.is_empty() {
            self.open(given)?;
        }
        self.before = State::of(&self.lab)?;
        self.now = self.before.clone();
        given.clone_into(&mut self.given);
        Ok(())
    }

    /// Runs commands while everything is allowed.
    fn open(&self, commands: &[String]) -> Result<()> {
        self.policy(&open_policy())?;
        for command in commands {
            self.shell(command)?;
        }
        self.policy(&policy())
    }

    /// Writes a policy and waits until it is in force. A control keeps its own.
    fn policy(&self, policy: &Value) -> Result<()> {
        if self.gates == Gates::Open {
            return Ok(());
        }
        let count = || self.lab.ramgate_log().matches("policy in force").count();
        let (before, started) = (count(), Instant::now());
        // No signal: with one, a second reading of the same file could be taken for that of the next.
        self.lab.write_policy(policy)?;
        while count() == before {
            ensure!(
                started.elapsed() < Duration::from_secs(10),
                "the policy is not taken"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn shell(&self, command: &str) -> Result<()> {
        let command = self.vocabulary.fill(command)?;
        self.lab
            .run("sh", &["-ec", &command])?
            .expect_success()
            .with_context(|| format!("given `{command}`"))?;
        Ok(())
    }

    fn act(&self, act: &Act) -> Result<Vec<u8>> {
        match act {
            Act::Engine(requests) => {
                let socket =
                    std::os::unix::net::UnixStream::connect(self.lab.path("/run/docker.sock"))?;
                wire::exchange(socket, requests, ENGINE_PATIENCE, &self.vocabulary)
            }
            Act::Mirror(requests) => self.gate(MIRROR, requests),
            Act::Egress(requests) => self.gate(EGRESS, requests),
            Act::Tunnel(tunnel) => self.tunnel(tunnel),
            Act::Sh(command) => {
                let command = self.vocabulary.fill(command)?;
                let run = self.lab.command("sh").args(["-c", &command]);
                // A command that hangs has not done it; what it left is seen.
                let output = run.timeout(COMMAND_PATIENCE).run();
                Ok(output
                    .map_or_else(|error| format!("{error:#}"), |output| output.text())
                    .into_bytes())
            }
        }
    }

    fn tunnel(&self, tunnel: &Tunnel) -> Result<Vec<u8>> {
        let mut answers = Vec::new();
        for _ in 0..tunnel.times.unwrap_or(1) {
            let by_proxy = self.gates == Gates::InForce;
            let address = if by_proxy {
                EGRESS.parse()?
            } else {
                self.leads(tunnel)?
            };
            let socket = self.lab.connect(address)?;
            let (patience, vocabulary) = (GATE_PATIENCE, &self.vocabulary);
            answers.extend(wire::converse(
                socket, tunnel, by_proxy, patience, vocabulary,
            )?);
        }
        Ok(answers)
    }

    /// Where a tunnel leads, by the lab's names.
    fn leads(&self, tunnel: &Tunnel) -> Result<SocketAddr> {
        if let Some(address) = &tunnel.leads {
            return Ok(address.parse()?);
        }
        let (host, port) = tunnel.to.rsplit_once(':').context("there is no port")?;
        let hosts = self.lab.read_file("/etc/hosts")?;
        let line = hosts
            .lines()
            .find(|line| line.split_whitespace().skip(1).any(|name| name == host));
        let address = line.and_then(|line| line.split_whitespace().next());
        let address = address.with_context(|| format!("`{host}` leads nowhere"))?;
        Ok(format!("{address}:{port}").parse()?)
    }

    fn overheard(&self) -> impl Iterator<Item = Finding> {
        let places = self.overheard.iter();
        let visited = places.filter(|place| place.connections() > 0);
        visited.map(|place| Finding {
            goal: Goal::Asked,
            detail: format!("{} was reached", place.address()),
        })
    }

    fn gate(&self, address: &str, requests: &[Request]) -> Result<Vec<u8>> {
        let socket = self.lab.connect(address.parse()?)?;
        wire::exchange(socket, requests, GATE_PATIENCE, &self.vocabulary)
    }

    /// Removes what is on the engine and was not in `state`. False if something of `state` is gone or has changed.
    fn tidy(&mut self, state: &State) -> Result<bool> {
        let started = Instant::now();
        while self.now != *state {
            if started.elapsed() > Duration::from_secs(15) {
                return Ok(false);
            }
            let removed = self.remove(state)?;
            self.now = State::of(&self.lab)?;
            if !removed && self.now != *state {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes once what is not in `state`. False if there is nothing of that kind.
    fn remove(&self, state: &State) -> Result<bool> {
        let mut removed = false;
        let mut ask = |method: &str, path: &str| {
            removed = true;
            // What is still in use is tried again, and then seen.
            let _ = world::ask(&self.lab, method, path);
        };
        for service in self.now.services.difference(&state.services) {
            ask("DELETE", &format!("/services/{}", service.0));
        }
        if self.now.in_swarm && !state.in_swarm {
            ask("POST", "/swarm/leave?force=1");
        }
        for (id, container) in &self.now.containers {
            if state.containers.get(id) != Some(container) {
                ask("DELETE", &format!("/containers/{id}?force=1&v=1"));
            }
        }
        for (id, name) in self.now.images.keys() {
            if !state.images.contains_key(&(id.clone(), name.clone())) {
                let name = if name.is_empty() { id } else { name };
                ask("DELETE", &format!("/images/{name}?force=1"));
            }
        }
        for (plugin, runs) in &self.now.plugins {
            if state.plugins.get(plugin) != Some(runs) {
                ask("DELETE", &format!("/plugins/{plugin}?force=1"));
            }
        }
        Ok(removed)
    }
}

// === impl Outcome ===

impl Outcome {
    /// An error unless it got what is `known` to be open, which mostly is nothing, and nothing else.
    pub(crate) fn expect_only(self, known: &[Goal]) -> Result<()> {
        let further = |finding: &&Finding| !known.contains(&finding.goal);
        let findings: Vec<String> = self
            .findings
            .iter()
            .filter(further)
            .map(|finding| format!("{:?}: {}", finding.goal, finding.detail))
            .collect();
        if !findings.is_empty() {
            bail!(
                "it got through:\n{}\nanswered: {}",
                findings.join("\n"),
                self.answer
            );
        }
        for goal in known {
            let got = self.findings.iter().any(|finding| finding.goal == *goal);
            ensure!(
                got,
                "it no longer gets through: take {goal:?} out of `open`"
            );
        }
        Ok(())
    }

    /// An error unless a control has shown what it should: that the attempt does something, or that it is inert.
    pub(crate) fn expect_control(self, attempt: &Attempt) -> Result<()> {
        let reached = self
            .findings
            .iter()
            .any(|finding| finding.goal == attempt.goal);
        match (&attempt.inert, reached) {
            (None, true) | (Some(_), false) => Ok(()),
            (None, false) => bail!(
                "without gates it does not reach its goal either, but: {:?}\nanswered: {}",
                self.findings,
                self.answer
            ),
            (Some(reason), true) => bail!("it reaches its goal, though: {reason}"),
        }
    }
}

/// Gives the lab what attempts need: more names for what is denied, a git, and places to stray to.
fn equip(lab: &Lab) -> Result<Vec<Overheard>> {
    let hosts = lab.read_file("/etc/hosts")?;
    lab.write_file("/etc/hosts", format!("{hosts}{HOSTS}"))?;
    lab.write_file("/usr/local/bin/git", GIT)?;
    lab.run("chmod", &["755", "/usr/local/bin/git"])?
        .expect_success()?;
    lab.serve_turning_name("turning.example", &TURNS)?;
    let overhear = |address: &&str| lab.overhear(address.parse()?);
    STRAY.iter().map(overhear).collect()
}

/// Of Docker Hub and `files.example` as in every lab, one registry that is reached directly and one that is read on the way.
fn policy() -> Value {
    let mut policy = Lab::policy();
    let more = [
        (
            "/registries",
            json!([{ "host": "docker.io", "via": "mirror" }, { "host": "direct.example", "via": "direct" },
            { "host": "direct.example:80", "via": "direct" }, { "host": "read.example", "repositories": ["acme/**"] }]),
        ),
        (
            "/egress/hosts",
            json!([
                "files.example",
                "loopback.example",
                "renamed.example",
                "turning.example"
            ]),
        ),
    ];
    for (key, value) in more {
        if let Some(place) = policy.pointer_mut(key) {
            *place = value;
        }
    }
    policy
}

/// Hosts inside count as named, so that what stops a way to them is the policy and not their address.
fn settings(gates: Gates) -> Value {
    let mut settings = Lab::settings();
    if let (Gates::InForce, Some(settings)) = (gates, settings.as_object_mut()) {
        settings.insert("egress".to_owned(), json!({ "inspect": true }));
    }
    for host in ["denied.example", "read.example", "10.231.0.11"] {
        let upstream = json!({ "url": format!("https://{host}"), "ca-file": Lab::CA_FILE });
        if let Some(Value::Object(upstreams)) = settings.pointer_mut("/mirror/upstreams") {
            upstreams.insert(host.to_owned(), upstream);
        }
    }
    settings
}

/// All that there is. The addresses of the lab are private, so the proxy wants the names of its hosts.
fn open_policy() -> Value {
    let hosts = [
        "denied.example",
        "*.example",
        "ghcr.io",
        "github.com",
        "*.docker.io",
    ];
    let local: serde_json::Map<String, Value> =
        ["build", "load", "import", "commit", "tag", "unknown"]
            .into_iter()
            .map(|kind| (kind.to_owned(), json!("allow")))
            .collect();
    json!({ "version": 1, "egress": { "hosts": hosts }, "local-images": local })
}

/// Other names of what is denied, and of Docker Hub.
const HOSTS: &str = "\
10.231.0.10 mirror.gcr.io
10.231.0.11 fresh.example mirror.docker.io docker.io.fresh.example
10.231.0.12 renamed.example xn--dnied-dsa.example xn--fles-1pa.example low_line.example
10.231.0.13 quay.io
127.0.0.1 loopback.example
10.231.0.12 github.com below.files.example files.example.fresh.example notfiles.example
";
/// The engines' roots have no git, and without one dockerd fetches no repositories: one that fetches what it is told.
const GIT: &str = r#"#!/bin/sh
for argument; do
    case $argument in
    http*) exec curl --silent --insecure --max-time 5 "$argument" ;;
    esac
done
"#;

/// A name that leads to the server of files when it is asked for first, and then to the host itself.
const TURNS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 231, 0, 13), Ipv4Addr::LOCALHOST];
const STRAY: [&str; 4] = [
    "127.0.0.1:443",
    "127.0.0.1:80",
    "10.231.0.13:22",
    "10.231.0.13:5000",
];
/// What comes of attempts on a registry's tunnel would say nothing if it were closed.
const REGISTRY_IS_OPEN: &str = "curl --silent --fail --insecure --proxy http://127.0.0.1:5051 https://direct.example/hello.txt | grep files.example";
const PULL_ALPINE: &str = "docker pull alpine:3";
const MIRROR: &str = "127.0.0.1:5050";
const EGRESS: &str = "127.0.0.1:5051";
/// An engine that pulls is silent for less.
const ENGINE_PATIENCE: Duration = Duration::from_secs(4);
/// A gate only keeps silent where it has opened a tunnel.
const GATE_PATIENCE: Duration = Duration::from_secs(1);
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_SHOWN_MAX: usize = 1200;
