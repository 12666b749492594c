//! The gates' part of a plan: program, policy, settings, units.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Draft, authority, rules};
use crate::cli::starter;
use crate::install::entry::Entry;
use crate::install::json_file::{Edit, JsonFile};
use crate::install::step::{Content, Part};
use crate::live_policy;
use crate::settings::Settings;

/// Adds the steps.
pub(super) fn draft(draft: &mut Draft<'_>) {
    let packaged = draft.host.layout.packaged.iter().any(|directory| {
        let path = directory.join("ramgate.service");
        draft.host.entry(&path) != Entry::Absent
    });
    let binary = program(draft, packaged);
    policy(draft);
    authority::make(draft);
    settings(draft);
    spec(draft);
    if draft.host.systemd {
        units(draft, packaged, &binary);
    } else {
        directories(draft);
        if draft.host.is_live() && !draft.host.gates_answer && !draft.choices.can_start {
            draft.problems.push(
                "there is no systemd here: say how `ramgate serve` is started, as in `--start-command 'service ramgate start'`"
                    .to_owned(),
            );
        }
    }
}

/// Puts the program where the units expect it; the place.
fn program(draft: &mut Draft<'_>, packaged: bool) -> PathBuf {
    let here = &draft.choices.program_path;
    let place = &draft.host.layout.binary;
    // A user takes the system's, which goes on being looked after by whoever put it there.
    let is_systems = draft.host.layout.user.is_some() && here.starts_with("/usr");
    if packaged || is_systems || here.starts_with("/usr/bin") || here == place {
        return here.clone();
    }
    let content = draft.choices.program.clone();
    draft.file(place, Part::Gates, &content, 0o755, "the program");
    place.clone()
}

fn policy(draft: &mut Draft<'_>) {
    let path = draft.host.policy_file.clone();
    let there = draft.host.entry(&path);
    let base = match (&draft.choices.policy, there.content()) {
        (Some(given), _) => given.clone(),
        (None, Some(there)) => there.to_vec(),
        (None, None) => starter().into_bytes(),
    };
    let text = match with_registries(&base, &draft.choices.registries) {
        Ok(text) => text,
        Err(problem) => {
            draft
                .problems
                .push(format!("{}: {problem}", path.display()));
            return;
        }
    };
    let mut texts = vec![(path.clone(), String::from_utf8_lossy(&text).into_owned())];
    texts.extend(draft.host.drop_ins.iter().cloned());
    // As the gates will read it: one that is wrong keeps them from starting.
    match live_policy::parse(&texts) {
        Ok(policy) => {
            draft.policy = Some(policy);
            draft.file(&path, Part::Gates, &text, 0o644, "the policy");
        }
        Err(error) => draft.problems.push(error.to_string()),
    }
}

/// The policy's text with registries added that it does not have.
fn with_registries(text: &[u8], registries: &[String]) -> Result<Vec<u8>, String> {
    if registries.is_empty() {
        return Ok(text.to_vec());
    }
    let file = JsonFile::read(text).map_err(|error| error.to_string())?;
    if file.value(&["registries"]).is_none() {
        return Err("it has no `registries`, so all are allowed, and `--registry` would forbid the others; take one of the two away".to_owned());
    }
    for registry in registries {
        if !allowed(text).iter().any(|(host, _)| host == registry) {
            let edit = Edit::Add {
                key: "registries",
                item: json!({ "host": registry }),
            };
            file.edit(&edit).map_err(|error| error.to_string())?;
        }
    }
    Ok(file.bytes())
}

/// The hosts that a policy names under `registries`, each with the way that it says; none where it allows all.
pub(super) fn allowed(policy: &[u8]) -> Vec<(String, Option<String>)> {
    let registries = JsonFile::read(policy)
        .ok()
        .and_then(|file| file.value(&["registries"]));
    let registries = match registries {
        Some(Value::Array(registries)) => registries,
        _ => Vec::new(),
    };
    let text = |registry: &Value, key| registry.get(key).and_then(Value::as_str).map(str::to_owned);
    registries
        .iter()
        .filter_map(|registry| Some((text(registry, "host")?, text(registry, "via"))))
        .collect()
}

/// Which gates run. What is as it is by default needs no settings.
fn settings(draft: &mut Draft<'_>) {
    if let Some(user) = &draft.host.layout.user {
        return users_settings(draft, &user.settings);
    }
    let path = &draft.host.layout.settings;
    let level = draft.choices.level;
    let now = &draft.host.settings;
    let inspects = now.egress.as_ref().is_some_and(|egress| egress.inspect);
    let keys: [(&'static [&'static str], bool, bool); 3] = [
        (&["mirror", "enabled"], now.mirror.is_some(), level.steers()),
        (&["egress", "enabled"], now.egress.is_some(), level.steers()),
        // Somebody who switched it on beside a level below has a reason.
        (
            &["egress", "inspect"],
            inspects,
            level.inspects() || (inspects && level.steers()),
        ),
    ];
    let edits: Vec<Edit> = keys
        .into_iter()
        .filter(|(_, is, should_be)| is != should_be)
        .map(|(key, _, should_be)| Edit::Set {
            key,
            value: json!(should_be),
        })
        .chain(rules::setting(draft))
        .collect();
    draft.json(path, Part::Gates, &edits, "which gates run");
}

/// A user's are written whole; those that are there are the user's own.
fn users_settings(draft: &mut Draft<'_>, text: &str) {
    let path = &draft.host.layout.settings;
    if draft.host.entry(path) == Entry::Absent {
        let purpose = "where things of a user lie; the plugin alone runs";
        draft.file(path, Part::Gates, text.as_bytes(), 0o644, purpose);
    }
}

/// Tells a user's engine where the plugin is.
fn spec(draft: &mut Draft<'_>) {
    let layout = &draft.host.layout;
    if let Some(user) = &layout.user {
        let text = format!("unix://{}\n", layout.plugin_socket.display());
        let purpose = "where the engine finds the plugin";
        draft.file(&user.spec, Part::Gates, text.as_bytes(), 0o644, purpose);
    }
}

fn units(draft: &mut Draft<'_>, packaged: bool, binary: &Path) {
    let layout = &draft.host.layout;
    for unit in layout.gate_units().into_iter().chain(rules::unit(draft)) {
        let mut place = layout.units.join(unit.name);
        if packaged {
            let mut packages = layout
                .packaged
                .iter()
                .map(|directory| directory.join(unit.name));
            place = packages
                .rfind(|path| draft.host.entry(path) != Entry::Absent)
                .unwrap_or(place);
        } else {
            let text = unit.text(binary);
            draft.file(&place, Part::Gates, text.as_bytes(), 0o644, "the unit");
        }
        for wants in unit.wanted_by(&layout.units) {
            let path = wants.join(unit.name);
            if draft.host.entry(&path) == Entry::Absent {
                let after = Content::Link {
                    target: place.clone(),
                };
                draft.push(
                    &path,
                    Part::Gates,
                    Entry::Absent,
                    after,
                    Vec::new(),
                    "started with the system",
                );
            }
        }
    }
}

/// What systemd would make: where the state and the audit log lie.
fn directories(draft: &mut Draft<'_>) {
    let settings: &Settings = &draft.host.settings;
    let log = settings.audit.path.parent().map(Path::to_owned);
    if let Some(directory) = log
        && draft.host.entry(&directory) == Entry::Absent
    {
        let after = Content::Directory { mode: 0o700 };
        draft.push(
            &directory,
            Part::Gates,
            Entry::Absent,
            after,
            Vec::new(),
            "the audit log",
        );
    }
}
