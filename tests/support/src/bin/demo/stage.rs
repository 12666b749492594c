//! The stage: a lab with ramgate installed, and what a step does and checks on it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ramgate_lab::{Builder, EngineKind, Lab, LabOptions, Output, Steering, Upstream};

use crate::page::{Gate, Page};

/// A lab and the page that tells of it.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) lab: Lab,
    pub(crate) page: &'a Page,
}

// === impl Stage ===

impl<'a> Stage<'a> {
    /// Starts everything and prints the policy in force.
    pub(crate) fn set(engine: EngineKind, ramgate: &Path, page: &'a Page) -> Result<Self> {
        ensure!(
            ramgate.is_file(),
            "there is no `{}`: build it with `make build`, or name another with `--ramgate`",
            ramgate.display()
        );
        page.line(&format!(
            "Docker Engine {} behind ramgate, in namespaces of its own. Docker Hub, ghcr.io and the others are stand-ins.",
            engine.version()?
        ))?;
        let lab = Lab::start(engine, &LabOptions::default())?;
        let start = policy(r#"[{ "host": "docker.io" }]"#);
        lab.install_ramgate(ramgate, &serde_json::from_str(&start)?, &Lab::settings())?;
        lab.write_file(POLICY_PATH, &start)?; // once more, as a person lays it out
        lab.start_ramgate()?;
        lab.steer_engine(Steering::STANDARD)?;
        lab.start_engine()?;
        let stage = Self { lab, page };
        page.line(&"")?;
        stage.run("cat", &[POLICY_PATH])?;
        Ok(stage)
    }

    /// Shows a docker command and what it prints.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Result<Output> {
        self.run("docker", arguments)
    }

    /// Shows a build and the end of what it prints.
    pub(crate) fn build(&self, builder: Builder, dockerfile: &str) -> Result<Output> {
        let command = match builder {
            Builder::BuildKit => "docker buildx build",
            Builder::Classic => "DOCKER_BUILDKIT=0 docker build",
        };
        self.page.command(&format!(
            "{command} -t acme/built - <<EOF\n{dockerfile}\nEOF"
        ))?;
        let output = self.lab.build(builder, "acme/built", dockerfile)?;
        self.page.output(&last_lines(&output.text()))?;
        Ok(output)
    }

    /// Removes all images from the engine, which is not shown.
    pub(crate) fn forget_images(&self) -> Result<()> {
        let images = self.lab.docker(&["images", "-q"])?.expect_success()?.stdout;
        let images: std::collections::BTreeSet<&str> = images.split_whitespace().collect();
        if !images.is_empty() {
            let arguments: Vec<&str> = ["rmi", "-f"].into_iter().chain(images).collect();
            self.lab.docker(&arguments)?.expect_success()?;
        }
        Ok(())
    }

    /// Writes a policy with other `registries` and waits until it is in force.
    pub(crate) fn allow_registries(&self, registries: &str) -> Result<()> {
        self.page.note(&format!(
            "{POLICY_PATH} is edited, to say: \"registries\": {registries}"
        ))?;
        let taken = || self.lab.ramgate_log().matches("policy in force").count();
        let before = taken();
        self.lab.write_file(POLICY_PATH, policy(registries))?;
        let started = Instant::now();
        while taken() <= before {
            if started.elapsed() > Duration::from_secs(10) {
                bail!(
                    "ramgate has not taken the new policy:\n{}",
                    self.lab.ramgate_log()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Tells the engine about other gates, and starts it anew.
    pub(crate) fn steer(&self, steering: Steering, note: &str) -> Result<()> {
        self.page.note(note)?;
        self.lab.steer_engine(steering)?;
        self.lab.restart_engine()
    }

    /// Shows the status of a GET at the mirror.
    pub(crate) fn mirror_status(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:5050{path}");
        self.page
            .command(&format!("curl -so /dev/null -w '%{{http_code}}' '{url}'"))?;
        let output = self
            .lab
            .curl(&["-o", "/dev/null", "-w", "%{http_code}", &url])?
            .expect_success()?;
        self.page.output(&output.stdout)?;
        Ok(output.stdout)
    }

    /// Checks that a command succeeded.
    pub(crate) fn passes(&self, output: &Output, gate: Gate, caption: &str) -> Result<()> {
        ensure!(
            output.status.success(),
            "this should have succeeded: {caption}"
        );
        self.page.shown(gate, caption)
    }

    /// Checks that a command failed, with these words.
    pub(crate) fn fails(
        &self,
        output: &Output,
        words: &str,
        gate: Gate,
        caption: &str,
    ) -> Result<()> {
        ensure!(
            !output.status.success(),
            "this should have failed: {caption}"
        );
        ensure!(
            output.text().contains(words),
            "this should have failed with `{words}`: {caption}"
        );
        // Whoever else refuses with these words, what is shown here is that the plugin does.
        ensure!(
            gate != Gate::Engine || output.text().contains(BY_PLUGIN),
            "this should have said `{BY_PLUGIN}`: {caption}"
        );
        self.page.shown(gate, caption)
    }

    /// Checks that a host has not been reached, not even by a connection.
    pub(crate) fn untouched(&self, host: &Upstream, gate: Gate) -> Result<()> {
        let name = host.host();
        let (connections, requests) = (host.connections(), host.requests());
        ensure!(
            connections == 0,
            "{name} was reached: {connections} connections, {requests:?}"
        );
        self.page.shown(
            gate,
            &format!("requests that reached {name}: {}", requests.len()),
        )
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        self.page
            .command(&format!("{program} {}", arguments.join(" ")))?;
        let output = self.lab.run(program, arguments)?;
        self.page.output(&output.text())?;
        Ok(output)
    }
}

/// The policy, as a person writes it.
fn policy(registries: &str) -> String {
    format!(
        r#"{{
  "version": 1,
  "contact": "platform@acme.example",
  "registries": {registries},
  "docker-hub": {{
    "official": "allow",
    "organizations": ["acme"],
    "repositories": ["grafana/grafana"]
  }}
}}
"#
    )
}

/// Of what a builder prints, the end: it tells what came of it. That a builder is deprecated is said every time.
fn last_lines(text: &str) -> String {
    let told = |line: &&str| {
        !line.trim().is_empty() && !line.starts_with("DEPRECATED: ") && !line.starts_with(INDENTED)
    };
    let lines: Vec<&str> = text.lines().filter(told).collect();
    let skipped = lines.len().saturating_sub(LAST_LINES);
    let last: Vec<&str> = lines.into_iter().skip(skipped).collect();
    let last = last.join("\n");
    match skipped {
        0 => last,
        _ => format!("… {skipped} lines\n{last}"),
    }
}

/// As far as the rest of the word on deprecation is.
const INDENTED: &str = "            ";
const LAST_LINES: usize = 3;
const BY_PLUGIN: &str = "authorization denied by plugin ramgate: ";
const POLICY_PATH: &str = "/etc/ramgate/policy.json";
