//! A plan that is being made: steps are added to it, and what stands in their way.

use std::path::Path;

use ramgate_policy::Policy;
use serde_json::Value;

use super::{Apply, Choices, Gates, Route};
use crate::install::entry::Entry;
use crate::install::host::{HOSTS_FILE, Host};
use crate::install::json_file::{Edit, Edited, InvalidJson, JsonFile};
use crate::install::level::Level;
use crate::install::record::Record;
use crate::install::step::{Content, Part, Step};

/// A plan that is being made.
pub(super) struct Draft<'a> {
    pub(super) host: &'a Host,
    pub(super) choices: &'a Choices,
    /// The policy as it will be, with its drop-ins; `None` if it is wrong.
    pub(super) policy: Option<Policy>,
    /// That of the network gate's authority, where there is to be one.
    pub(super) certificate: Option<String>,
    pub(super) steps: Vec<Step>,
    pub(super) routes: Vec<(String, Route)>,
    pub(super) notes: Vec<String>,
    pub(super) problems: Vec<String>,
}

// === impl Draft ===

impl<'a> Draft<'a> {
    pub(super) const fn new(host: &'a Host, choices: &'a Choices) -> Self {
        Self {
            host,
            choices,
            policy: None,
            certificate: None,
            steps: Vec::new(),
            routes: Vec::new(),
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// What a higher level has set up is taken out by `uninstall`, and by nothing else.
    pub(super) fn refuse_less(&mut self) {
        let installed = self.host.journal.as_ref().and_then(Record::level);
        let wanted = self.choices.level;
        if let Some(installed) = installed.filter(|installed| *installed > wanted) {
            self.problems.push(format!(
                "level {installed} is installed, which is more than {wanted}: `ramgate uninstall` takes it out, and then `ramgate \
                 install --level {wanted}` sets up less"
            ));
        }
    }

    /// A user's engine has a network of its own.
    pub(super) fn refuse_more(&mut self) {
        if self.host.layout.user.is_some() && self.choices.level > Level::Plugin {
            self.problems.push(
                "an engine in rootless mode has a network of its own, from which it reaches neither mirror nor proxy on this host: what \
                 holds there is `--level plugin`"
                    .to_owned(),
            );
        }
        if self.host.layout.user.is_some() && !self.host.systemd {
            self.problems.push(
                "there is no systemd of this user's: log in as the user, as with ssh or `machinectl shell`; or set it up by hand, see \
                 `Rootless Docker` in docs/install.md"
                    .to_owned(),
            );
        }
    }

    /// Adds a step for a file that is ours as a whole, unless it is there already.
    pub(super) fn file(
        &mut self,
        path: &Path,
        part: Part,
        content: &[u8],
        mode: u32,
        purpose: &str,
    ) {
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
    pub(super) fn json(&mut self, path: &Path, part: Part, edits: &[Edit], purpose: &str) {
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

    pub(super) fn push(
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

    /// What a JSON file that is there has at a key.
    pub(super) fn value(&self, path: &Path, key: &[&str]) -> Option<Value> {
        let entry = self.host.entry(path);
        JsonFile::read(entry.content()?).ok()?.value(key)
    }

    /// A file as it will be.
    pub(super) fn planned(&self, path: &Path) -> Vec<u8> {
        let planned = self.steps.iter().find(|step| step.path == *path);
        match planned.map(|step| &step.after) {
            Some(Content::File { content, .. }) => content.clone(),
            Some(Content::Link { .. } | Content::Directory { .. }) | None => {
                self.host.entry(path).content().unwrap_or_default().to_vec()
            }
        }
    }

    /// What the engine must be told.
    pub(super) fn apply(&self) -> Apply {
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

    pub(super) fn gates(&self) -> Gates {
        let read_at_start = |step: &Step| {
            step.part == Part::Gates
                && matches!(step.after, Content::File { .. })
                && step.path != self.host.policy_file
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
}

/// What it takes for the engine to notice a step.
fn needs(step: &Step) -> Apply {
    if step.path.ends_with(HOSTS_FILE) {
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
