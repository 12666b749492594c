//! `ramgate policy learn`: from what was seen to a policy that allows it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use ramgate_policy::{Action, OFFICIAL_NAMESPACE, Registry};
use serde_json::{Map, Value, json};

use super::super::{CommandError, SettingsArgument, say};
use super::audit::{self, Seen};

/// Propose a policy that allows what an audit log has seen.
///
/// Run with `"mode": "audit"` for a while first. The policy goes to stdout; what it rests on, with counts, to stderr. Scopes are
/// the repositories themselves, or the path that several of them share.
#[derive(Debug, Args)]
#[command(after_help = "Example: ramgate policy learn --least 3 > learned.json")]
pub(super) struct Learn {
    /// The audit log; without it, the one that the settings name.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// From how many repositories on a common path is allowed as a whole.
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    widen: usize,
    /// Leave out what was seen less often.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    least: u64,
    /// Allow what was denied as well.
    #[arg(long)]
    denied: bool,
    #[command(flatten)]
    settings: SettingsArgument,
}

/// What was seen of one registry: repositories by the rights that they need, each with how often.
type Rights = BTreeMap<String, (BTreeSet<&'static str>, u64)>;

// === impl Learn ===

impl Learn {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let log = match &self.audit {
            Some(path) => path.clone(),
            None => self.settings.load()?.audit.path,
        };
        let seen = audit::read(&log).map_err(CommandError::Failed)?;
        let mut registries: BTreeMap<Registry, Rights> = BTreeMap::new();
        for (one, (allows, denials)) in &seen {
            let times = allows + if self.denied { *denials } else { 0 };
            if times < self.least.max(1) {
                continue;
            }
            let rights = registries
                .entry(one.repository.registry().clone())
                .or_default();
            let (actions, total) = rights.entry(one.repository.path().to_owned()).or_default();
            actions.insert(right(one));
            *total += times;
        }
        // A policy that allows nothing, made of a file that is no audit log, is in nobody's mind.
        if registries.is_empty() {
            return Err(CommandError::Failed(anyhow::anyhow!(
                "{}: nothing in it was allowed that names a repository, so there is nothing to learn; let ramgate run with `\"mode\": \"audit\"` for a while",
                log.display()
            )));
        }
        let mut stderr = std::io::stderr();
        for (registry, rights) in &registries {
            for (path, (actions, times)) in rights {
                let actions: Vec<&str> = actions.iter().copied().collect();
                writeln!(
                    stderr,
                    "{times:6}  {registry}/{path}  {}",
                    actions.join(", ")
                )?;
            }
        }
        say(format_args!("{:#}", self.policy(&registries)))
    }

    fn policy(&self, registries: &BTreeMap<Registry, Rights>) -> Value {
        let mut entries = Vec::new();
        let mut policy = Map::new();
        policy.insert("version".to_owned(), json!(1));
        policy.insert("mode".to_owned(), json!("audit"));
        for (registry, rights) in registries {
            let pushed = self.scopes(rights, |actions| actions.contains("push"));
            let pulled = self.scopes(rights, |actions| !actions.contains("push"));
            let host = registry.to_string();
            if registry.is_docker_hub() {
                entries.push(json!({ "host": host }));
                let hub = docker_hub(&self.scopes(rights, |_| true));
                policy.insert("docker-hub".to_owned(), hub);
            } else if !pulled.is_empty() {
                entries.push(json!({ "host": host, "repositories": pulled }));
            }
            if !pushed.is_empty() {
                entries.push(
                    json!({ "host": host, "repositories": pushed, "actions": ["pull", "push"] }),
                );
            }
        }
        policy.insert("registries".to_owned(), json!(entries));
        Value::Object(policy)
    }

    /// The narrowest patterns: the repositories, or where there are many on one path, that path.
    fn scopes(
        &self,
        rights: &Rights,
        wanted: impl Fn(&BTreeSet<&'static str>) -> bool,
    ) -> Vec<String> {
        let paths: Vec<&String> = rights
            .iter()
            .filter(|(_, (actions, _))| wanted(actions))
            .map(|(path, _)| path)
            .collect();
        let parent = |path: &str| path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        let mut siblings: BTreeMap<String, usize> = BTreeMap::new();
        for path in &paths {
            if let Some(parent) = parent(path) {
                *siblings.entry(parent).or_default() += 1;
            }
        }
        let scope = |path: &&String| {
            let parent = parent(path);
            let many = parent.as_ref().filter(|parent| {
                siblings
                    .get(*parent)
                    .is_some_and(|count| *count >= self.widen)
            });
            many.map_or_else(|| (*path).clone(), |parent| format!("{parent}/*"))
        };
        let scopes: BTreeSet<String> = paths.iter().map(scope).collect();
        scopes.into_iter().collect()
    }
}

fn right(seen: &Seen) -> &'static str {
    match seen.action {
        Action::Push => "push",
        Action::Pull | Action::Run => "pull",
    }
}

/// Official images as a category, all others by name: which publishers were meant, nobody said.
fn docker_hub(scopes: &[String]) -> Value {
    let official = |scope: &&String| scope.starts_with(&format!("{OFFICIAL_NAMESPACE}/"));
    let others: Vec<&String> = scopes.iter().filter(|scope| !official(scope)).collect();
    json!({
        "official": if scopes.iter().any(|scope| official(&scope)) { "allow" } else { "deny" },
        "community": "deny",
        "repositories": others,
    })
}
