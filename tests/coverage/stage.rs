//! One engine behind ramgate, at one level of installation.

use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ramgate_lab::{EngineKind, Image, Lab, LabOptions, Output, Steering};

use crate::heard::Heard;
use crate::paths::{Passes, Path};
use crate::target::Target;

/// A level of installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The three gates, as `ramgate install` steers engines towards them.
    Standard,
    /// And the network gate reads what goes to registries.
    Strict,
}

/// An engine, and what stands around it.
#[derive(Debug)]
pub(crate) struct Stage {
    lab: Lab,
}

/// What became of an attempt.
#[derive(Debug)]
struct Found {
    passed: bool,
    /// The gates that refused something, in the order that a request comes by them.
    gates: String,
}

// === impl Level ===

impl Level {
    pub(crate) const ALL: [Self; 2] = [Self::Standard, Self::Strict];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Strict => "strict",
        }
    }
}

// === impl Stage ===

impl Stage {
    pub(crate) fn new(kind: EngineKind, level: Level) -> Result<Self> {
        let lab = Lab::start(kind, &LabOptions::default())?;
        let stage = Self { lab };
        stage
            .set_up(level)
            .map_err(|error| error.context(stage.lab.report()))?;
        Ok(stage)
    }

    fn set_up(&self, level: Level) -> Result<()> {
        let lab = &self.lab;
        publish_plugins(lab)?;
        lab.write_file("/usr/local/bin/git", GIT)?;
        lab.run("chmod", &["755", "/usr/local/bin/git"])?
            .expect_success()?;
        let settings = match level {
            Level::Standard => Lab::settings(),
            Level::Strict => Lab::inspecting_settings(),
        };
        let ramgate = FilePath::new(env!("CARGO_BIN_EXE_ramgate"));
        lab.install_ramgate(ramgate, &Lab::strict_policy(), &settings)?;
        if level == Level::Strict {
            lab.trust_inspection()?;
        }
        lab.start_ramgate()?;
        let hosts_toml = lab.kind().reads_hosts_toml();
        lab.steer_engine(Steering {
            hosts_toml,
            ..Steering::STANDARD
        })?;
        if hosts_toml {
            // Users log in there themselves.
            lab.write_file(
                "/etc/docker/certs.d/ghcr.io/hosts.toml",
                "# reached directly\n",
            )?;
        }
        lab.start_engine()?;
        let init = ["swarm", "init", "--advertise-addr", "10.231.0.1"];
        lab.docker(&init)?.expect_success()?;
        Ok(())
    }

    /// An error with all that a person wants to see beside it.
    pub(crate) fn told(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(self.lab.report())
    }

    /// Goes a path; what came of it in a word for the table, and at length for a person.
    pub(crate) fn attempt(&self, path: &Path, target: Target) -> Result<(String, String)> {
        let lab = &self.lab;
        if (path.absent)(lab.kind()) {
            return Ok(("absent".to_owned(), String::new()));
        }
        self.clear()?;
        lab.upstreams()
            .iter()
            .for_each(|upstream| upstream.forget());
        let before = lab.read_file(AUDIT).unwrap_or_default().len();
        let output = (path.go)(lab, target)
            .with_context(|| format!("{}, {}", path.title, target.title()))?;
        let found = self.find(path, target, &output, before)?;
        let cell = self.cell(target, &found, &output)?;
        let requests: Vec<String> = lab
            .upstreams()
            .iter()
            .flat_map(|upstream| upstream.requests())
            .map(|request| request.to_string())
            .collect();
        Ok((cell, format!("{output}\n{}", requests.join("\n"))))
    }

    /// What became of it, by the command, the world and the audit log, which is written a little later.
    fn find(&self, path: &Path, target: Target, output: &Output, before: usize) -> Result<Found> {
        let started = Instant::now();
        loop {
            let audit = self.lab.read_file(AUDIT).unwrap_or_default();
            let heard = Heard::of(audit.get(before..).unwrap_or_default(), target)?;
            let passed = match path.passes {
                Passes::Success => output.status.success(),
                Passes::Served => {
                    let served = heard.allowed || served(&self.lab, target);
                    served && heard.gates.is_empty()
                }
            };
            if passed || !heard.gates.is_empty() || started.elapsed() > Duration::from_secs(3) {
                let gates = heard.gates.into_iter().map(|(_, gate)| gate);
                return Ok(Found {
                    passed,
                    gates: gates.collect::<Vec<_>>().join(", "),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn cell(&self, target: Target, found: &Found, output: &Output) -> Result<String> {
        let Found { passed, gates } = found;
        if *passed {
            return Ok(if target.is_denied() { "open" } else { "passes" }.to_owned());
        }
        if gates.is_empty() {
            bail!(
                "it failed, and no gate has refused it: {output}\n{}",
                self.lab.report()
            );
        }
        let text = output.text();
        let in_git = text.contains(GITS_WORDS);
        if !in_git && !WORDS.iter().any(|words| text.contains(words)) {
            bail!("{gates} refused it, and the user does not read why: {output}");
        }
        let heard = target.heard(&self.lab);
        if !heard.is_empty() {
            bail!("{gates} refused it, and yet there was {heard:?}");
        }
        Ok(if in_git {
            format!("{gates}, in git's words")
        } else {
            gates.clone()
        })
    }

    /// Removes images and what builders keep.
    fn clear(&self) -> Result<()> {
        let lab = &self.lab;
        for _ in 0..3 {
            let listed = lab
                .docker(&["images", "-aq", "--no-trunc"])?
                .expect_success()?;
            let ids: BTreeSet<&str> = listed.stdout.split_whitespace().collect();
            if ids.is_empty() {
                // While a denied image is on the host, no builder may be asked for anything.
                lab.docker(&["builder", "prune", "-af"])?.expect_success()?;
                return Ok(());
            }
            let remove: Vec<&str> = ["rmi", "-f"].into_iter().chain(ids).collect();
            lab.docker(&remove)?;
        }
        bail!("images stay")
    }
}

/// Whether the host has answered for the target; a registry, by giving something of its repository away.
fn served(lab: &Lab, target: Target) -> bool {
    let upstream = target.upstream(lab);
    match target {
        Target::Host | Target::DeniedHost => !upstream.requests().is_empty(),
        Target::Hub
        | Target::Registry
        | Target::DeniedRepository
        | Target::DeniedCategory
        | Target::DeniedAction => {
            let path = format!("/v2/{}/", target.repository());
            let requests = upstream.requests_under(&path);
            requests.iter().any(|request| request.status.is_success())
        }
    }
}

fn publish_plugins(lab: &Lab) -> Result<()> {
    for (upstream, repositories) in [
        (lab.docker_hub(), ["acme/volumes", "evil/volumes"]),
        (lab.ghcr(), ["acme/volumes", "other/volumes"]),
    ] {
        for repository in repositories {
            let plugin = Image::plugin(&format!("{}/{repository}:1", upstream.host()))?;
            upstream.push(repository, "1", &plugin)?;
        }
    }
    Ok(())
}

/// What a git asks first, asked by curl, as the engine's roots have no git: where it is sent is what counts here.
const GIT: &str = r#"#!/bin/sh
for argument; do
    case $argument in
    https://*) curl --silent --show-error --fail --max-time 5 "$argument/info/refs?service=git-upload-pack"; exit ;;
    esac
done
"#;
/// A git shows the status that it was refused with, and no reason.
const GITS_WORDS: &str = "The requested URL returned error: 403";
const AUDIT: &str = "/var/log/ramgate/audit.jsonl";
const WORDS: [&str; 3] = [
    "restricted by your administrators",
    "images not allowed",
    "is not allowed",
];
