//! What an installation would change, worked out without changing anything: from the host as it was found and what was chosen, to
//! steps in order.
//!
//! A further part of an installation is one more function that adds steps, called in [`plan`].

mod engine;
mod gates;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::entry::Entry;
use super::host::Host;
use super::json_file::{Edit, Edited, InvalidJson, JsonFile};
use super::level::Level;
use super::step::{Content, Part, Step};

/// What an administrator chose.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    pub(crate) level: Level,
    /// The policy to put in place of the one that is there, if any.
    pub(crate) policy: Option<Vec<u8>>,
    /// Registries to be allowed beside those of the policy.
    pub(crate) registries: Vec<String>,
    /// The program that runs, and where.
    pub(crate) program: Vec<u8>,
    pub(crate) program_path: PathBuf,
    /// Whether the images that are there are vouched for.
    pub(crate) adopt: bool,
    /// Whether there is a command that starts the gates, for hosts without systemd.
    pub(crate) can_start: bool,
    /// Whether there is one that restarts the engine.
    pub(crate) can_restart: bool,
}

/// What would be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) level: Level,
    /// In order; those of the gates before those of the engine.
    pub(crate) steps: Vec<Step>,
    pub(crate) gates: Gates,
    pub(crate) engine: Apply,
    /// How each registry is reached; only where the engine can be told.
    pub(crate) routes: Vec<(String, Route)>,
    /// What an administrator should know before agreeing.
    pub(crate) notes: Vec<String>,
    /// Whether an installation before it did not come to its end, and this one goes on with it.
    pub(crate) resumes: bool,
}

/// What becomes of the gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gates {
    /// They run as they should.
    Leave,
    Start,
    /// They run with what was before.
    Restart,
}

/// How the engine hears of its changes; each includes what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Apply {
    Nothing,
    /// By SIGHUP. Containers notice nothing.
    Reload,
    Restart,
}

/// How the engine reaches a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Through ramgate's mirror.
    Mirror,
    /// Itself, through the network gate: the users' own logins reach it.
    Direct,
}

/// Why nothing is planned; all reasons at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) Vec<String>);

/// A plan that is being made.
struct Draft<'a> {
    host: &'a Host,
    choices: &'a Choices,
    steps: Vec<Step>,
    routes: Vec<(String, Route)>,
    notes: Vec<String>,
    problems: Vec<String>,
}

/// Works out what it takes to have on `host` what was chosen.
///
/// # Errors
/// Everything that stands in the way.
pub(crate) fn plan(host: &Host, choices: &Choices) -> Result<Plan, Refusal> {
    let mut draft = Draft {
        host,
        choices,
        steps: Vec::new(),
        routes: Vec::new(),
        notes: Vec::new(),
        problems: Vec::new(),
    };
    draft
        .problems
        .extend(choices.level.refusal().map(str::to_owned));
    gates::draft(&mut draft);
    engine::draft(&mut draft);
    let engine = draft.apply();
    let gates = draft.gates();
    draft.warn_of_restart(engine);
    draft.offer_adoption();
    let journal = host.journal.as_ref();
    let resumes = journal.is_some_and(|record| record.unapplied || !record.pending.is_empty());
    if !draft.problems.is_empty() {
        return Err(Refusal(draft.problems));
    }
    Ok(Plan {
        level: choices.level,
        steps: draft.steps,
        gates,
        engine,
        routes: draft.routes,
        notes: draft.notes,
        resumes,
    })
}

// === impl Plan ===

impl Plan {
    /// Whether everything is as it should be already.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
            && self.gates == Gates::Leave
            && self.engine == Apply::Nothing
            && !self.resumes
    }
}

// === impl Draft ===

impl Draft<'_> {
    /// Adds a step for a file that is ours as a whole, unless it is there already.
    fn file(&mut self, path: &Path, part: Part, content: &[u8], mode: u32, purpose: &str) {
        let before = self.host.entry(path);
        if before.content() == Some(content) {
            return;
        }
        let after = Content::File {
            content: content.to_vec(),
            mode,
        };
        self.push(path, part, before, after, Vec::new(), purpose);
    }

    /// Adds a step that edits a JSON file of others, unless all is in it already.
    fn json(&mut self, path: &Path, part: Part, edits: &[Edit], purpose: &str) {
        let before = self.host.entry(path);
        match edited(&before, edits) {
            Ok((_, made)) if made.is_empty() => {}
            Ok((content, made)) => {
                let after = Content::File {
                    content,
                    mode: 0o644,
                };
                self.push(path, part, before, after, made, purpose);
            }
            Err(problem) => self.problems.push(format!("{}: {problem}", path.display())),
        }
    }

    fn push(
        &mut self,
        path: &Path,
        part: Part,
        before: Entry,
        after: Content,
        edits: Vec<Edited>,
        purpose: &str,
    ) {
        let in_the_way = match &before {
            Entry::Absent => None,
            Entry::File { .. } => (!matches!(after, Content::File { .. })).then_some("a file"),
            Entry::Link { .. } => (!matches!(after, Content::Link { .. })).then_some("a link"),
            Entry::Directory => Some("a directory"),
            Entry::Other => Some("no file"),
        };
        if let Some(kind) = in_the_way {
            self.problems
                .push(format!("{}: this is {kind}; move it away", path.display()));
            return;
        }
        self.steps.push(Step {
            path: path.to_owned(),
            part,
            before,
            after,
            edits,
            purpose: purpose.to_owned(),
        });
    }

    /// What the engine must be told.
    fn apply(&self) -> Apply {
        let unapplied = self
            .host
            .journal
            .as_ref()
            .is_some_and(|record| record.unapplied);
        if self.host.docker.running.is_none() {
            return Apply::Nothing;
        }
        let steps = self.steps.iter().filter(|step| step.part == Part::Engine);
        let told = steps.map(needs).max().unwrap_or(Apply::Nothing);
        if unapplied { Apply::Restart } else { told }
    }

    fn gates(&self) -> Gates {
        let read_at_start = |step: &Step| {
            step.part == Part::Gates
                && matches!(step.after, Content::File { .. })
                && step.path != self.host.settings.policy_path
        };
        if !self.host.is_live() {
            Gates::Leave
        } else if !self.host.gates_answer {
            Gates::Start
        } else if self.steps.iter().any(read_at_start) {
            Gates::Restart
        } else {
            Gates::Leave
        }
    }

    fn offer_adoption(&mut self) {
        let images = self
            .host
            .docker
            .running
            .as_ref()
            .map_or(0, |running| running.images);
        if images > 0 && self.host.journal.is_none() && !self.choices.adopt {
            self.notes.push(format!(
                "images that are on this host already: {images}; those whose origin the engine cannot prove do not run until somebody \
                 vouches for them: `--adopt` does it now, `ramgate ledger adopt` later"
            ));
        }
    }

    fn warn_of_restart(&mut self, engine: Apply) {
        let Some(running) = &self.host.docker.running else {
            return;
        };
        if engine != Apply::Restart {
            return;
        }
        if !self.host.systemd && !self.choices.can_restart {
            self.problems.push(
                "the engine has to be restarted, and there is no systemd here: say how, as in `--restart-command 'service docker \
                 restart'`"
                    .to_owned(),
            );
        }
        if running.live_restore {
            self.notes.push(
                "the engine is restarted; `live-restore` is on, so containers go on running"
                    .to_owned(),
            );
        } else {
            let count = match running.containers {
                0 => "no container runs".to_owned(),
                1 => "1 running container stops with it".to_owned(),
                count => format!("{count} running containers stop with it"),
            };
            let advice = if running.containers == 0 {
                ""
            } else {
                "; to keep them, put `\"live-restore\": true` into daemon.json and reload the engine first"
            };
            self.notes
                .push(format!("the engine is restarted: {count}{advice}"));
        }
    }
}

/// What it takes for the engine to notice a step.
fn needs(step: &Step) -> Apply {
    if step.path.ends_with(super::host::HOSTS_FILE) {
        Apply::Nothing
    } else if step.edits.is_empty() || step.edits_key("proxies") {
        Apply::Restart
    } else {
        Apply::Reload
    }
}

/// A JSON file with edits made, and those that were not there yet.
fn edited(before: &Entry, edits: &[Edit]) -> Result<(Vec<u8>, Vec<Edited>), InvalidJson> {
    let file = JsonFile::read(before.content().unwrap_or_default())?;
    let mut made = Vec::new();
    for edit in edits {
        made.extend(file.edit(edit)?);
    }
    Ok((file.bytes(), made))
}

/// The strings of a list.
fn strings(value: Option<Value>) -> Vec<String> {
    let items = match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
