//! A lab with ramgate in front of its engine, and what every scenario does with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions, Output, Steering};
use serde_json::Value;

/// A lab with ramgate installed and running.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) lab: Lab,
}

// === impl Place ===

impl Place {
    pub(crate) fn new(kind: EngineKind, ramgate: &Path) -> Result<Self> {
        let lab = Lab::start(kind, &LabOptions::default())?;
        lab.install_ramgate(ramgate, &Lab::policy(), &Lab::settings())?;
        lab.start_ramgate()?;
        lab.steer_engine(Steering::STANDARD)?;
        lab.start_engine()?;
        Ok(Self { lab })
    }

    /// The start of every scenario: the base policy, an engine without images, and nothing counted yet.
    pub(crate) fn begin(&self) -> Result<()> {
        self.policy(&Lab::policy())?;
        self.clear()?;
        self.lab
            .upstreams()
            .iter()
            .for_each(|upstream| upstream.forget());
        Ok(())
    }

    /// Removes containers and images.
    pub(super) fn clear(&self) -> Result<()> {
        self.clear_containers()?;
        self.remove(&["images", "-q"], &["rmi", "-f"])
    }

    /// Removes all that `list` prints. An image goes with another that it was the parent of, and is then not there to remove.
    fn remove(&self, list: &[&str], remove: &[&str]) -> Result<()> {
        for _ in 0..3 {
            let ids = self.docker(list)?.expect_success()?.stdout;
            let ids: BTreeSet<&str> = ids.split_whitespace().collect();
            if ids.is_empty() {
                return Ok(());
            }
            let arguments: Vec<&str> = remove.iter().copied().chain(ids).collect();
            self.docker(&arguments)?;
        }
        bail!("the engine could not be cleared")
    }

    /// Writes a policy and waits until it is in force.
    pub(super) fn policy(&self, policy: &Value) -> Result<()> {
        let before = self.count("policy in force");
        self.lab.write_policy(policy)?;
        self.lab.signal_ramgate("HUP")?;
        self.wait_for("policy in force", before)
    }

    /// Waits until the log of ramgate has `message` more often than `before`.
    pub(super) fn wait_for(&self, message: &str, before: usize) -> Result<()> {
        let started = Instant::now();
        while self.count(message) <= before {
            ensure!(
                started.elapsed() < Duration::from_secs(10),
                "ramgate's log does not say `{message}`"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits until the audit log has more than `before` lines with `text`.
    pub(super) fn wait_for_audit(&self, text: &str, before: usize) -> Result<()> {
        let started = Instant::now();
        while self.audited(text)? <= before {
            ensure!(
                started.elapsed() < Duration::from_secs(10),
                "the audit log does not say `{text}`"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(super) fn count(&self, message: &str) -> usize {
        self.lab.ramgate_log().matches(message).count()
    }

    pub(super) fn docker(&self, arguments: &[&str]) -> Result<Output> {
        self.lab.docker(arguments)
    }

    pub(super) fn clear_containers(&self) -> Result<()> {
        self.remove(&["ps", "-aq"], &["rm", "-f"])
    }

    /// Runs `act` while the engine asks no plugin, and uses the other gates. The engine is then stopped.
    pub(super) fn without_plugin<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        self.lab.steer_engine(Steering {
            plugin: false,
            ..Steering::STANDARD
        })?;
        self.lab.restart_engine()?;
        let result = act();
        self.lab.stop_engine()?;
        self.lab.steer_engine(Steering::STANDARD)?;
        result
    }

    /// How many lines of the audit log have `text`.
    pub(super) fn audited(&self, text: &str) -> Result<usize> {
        let audit = self.lab.read_file("/var/log/ramgate/audit.jsonl")?;
        Ok(audit.lines().filter(|line| line.contains(text)).count())
    }

    /// Whether a container runs, as docker says it: `true` or `false`.
    pub(super) fn running(&self, container: &str) -> Result<String> {
        let inspect = ["inspect", "-f", "{{.State.Running}}", container];
        let output = self.docker(&inspect)?.expect_success()?;
        Ok(output.stdout.trim().to_owned())
    }

    /// The status of a GET at the mirror.
    pub(super) fn mirror_status(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:5050{path}");
        let output = self.lab.curl(&[
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--noproxy",
            "*",
            &url,
        ])?;
        Ok(output.expect_success()?.stdout)
    }
}

/// The base policy with one key changed.
pub(super) fn policy_with(key: &str, value: Value) -> Value {
    let mut policy = Lab::policy();
    if let Some(object) = policy.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
    policy
}

pub(super) const RESTRICTED: &str = "has been restricted by your administrators";
pub(super) const COMMUNITY: &str =
    "image access denied: community images not allowed: docker.io/evil/tool";
pub(super) const CONTACT: &str = "contact platform@acme.example";
