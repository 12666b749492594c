//! A client: the docker CLI of some engine, whose every step must succeed, and what the gates had to say of it.

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{Command, EngineKind, Output};
use serde_json::Value;

use crate::place::Place;

/// The docker CLI of an engine, at work on the engine of a lab.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    place: &'a Place,
    /// The engine whose CLI it is; the lab's own if `None`.
    of: Option<EngineKind>,
}

// === impl Client ===

impl<'a> Client<'a> {
    pub(super) const fn own(place: &'a Place) -> Self {
        Self { place, of: None }
    }

    pub(super) const fn of(kind: EngineKind, place: &'a Place) -> Self {
        Self {
            place,
            of: Some(kind),
        }
    }

    /// A program that comes with the CLI.
    pub(super) fn command(&self, program: &str) -> Command {
        match self.of {
            None => self.place.lab.command(program),
            Some(kind) => self.place.lab.guest(kind, program),
        }
    }

    /// Runs `docker` with the words of `line`, which must succeed.
    pub(super) fn docker(&self, line: &str) -> Result<Output> {
        let command = self.command("docker").args(line.split_whitespace());
        command.run()?.expect_success()
    }

    /// Runs each line as [`Self::docker`] does. Empty ones and comments are left out.
    pub(super) fn script(&self, script: &str) -> Result<()> {
        for line in script.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                self.docker(line)?;
            }
        }
        Ok(())
    }
}

/// What is done in `session` must not be refused by any gate.
///
/// One line of the audit log is none of the client's: asked what a registry says of an image, dockerd 28 also knocks at Docker
/// Hub itself, and goes by what the mirror says when it is not let through.
pub(super) fn untouched(place: &Place, session: impl FnOnce() -> Result<()>) -> Result<()> {
    let audit = || place.lab.read_file("/var/log/ramgate/audit.jsonl");
    let before = audit()?.lines().count();
    let done = session();
    let audit = audit()?;
    let (mut allowed, mut inspected, mut knocked) = (0, 0, 0);
    for line in audit.lines().skip(before) {
        let entry: Value = serde_json::from_str(line).context("the audit log is JSON")?;
        let says = |key: &str, value: &str| entry.get(key).and_then(Value::as_str) == Some(value);
        if says("reason", "docker-hub-only-by-mirror") {
            knocked += 1;
        } else {
            ensure!(says("decision", "allow"), "{done:?}\na false alarm: {line}");
        }
        allowed += 1;
        inspected += usize::from(says("route", "/distribution/{name}/json"));
    }
    done?;
    ensure!(allowed > 0, "no gate was asked");
    ensure!(
        knocked <= inspected,
        "Docker Hub was asked for {knocked} times, and {inspected} times by right"
    );
    Ok(())
}
