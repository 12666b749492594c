//! The engine's part of a plan: whether it can be set up, which plugins it asks, and what would keep it from starting.

use serde_json::{Value, json};

use super::{Draft, authority, steering, strings};
use crate::install::json_file::Edit;
use crate::install::step::Part;

/// Adds the steps.
pub(super) fn draft(draft: &mut Draft<'_>) {
    if !is_ours_to_set_up(draft) {
        return;
    }
    let mut edits = vec![Edit::Add {
        key: "authorization-plugins",
        item: json!("ramgate"),
    }];
    plugins(draft);
    edits.extend(steering::draft(draft));
    authority::trust(draft);
    let path = draft.host.docker.daemon_json.clone();
    draft.json(&path, Part::Engine, &edits, "the engine's settings");
    conflicts(draft);
}

/// Whether there is an engine, and one that can be set up.
fn is_ours_to_set_up(draft: &mut Draft<'_>) -> bool {
    let docker = &draft.host.docker;
    let problem = if docker.snap && !docker.installed {
        "Docker is installed as a snap, which keeps its settings where nothing else may put plugins; remove it, install Docker from \
         your distribution (`docker.io`, `moby-engine`) or from Docker (`docker-ce`), and run this again"
    } else if docker.podman && !docker.installed {
        "what answers at the engine's socket is Podman, which asks no authorization plugins; for Podman see docs/recipes.md"
    } else if !docker.installed {
        "there is no Docker Engine here; install it first"
    } else if docker
        .running
        .as_ref()
        .is_some_and(|running| running.managed_plugin)
    {
        "ramgate is a managed plugin of this engine already; take it out as docs/install.md says, or keep it and leave this"
    } else if docker.major.is_some_and(|major| major < USERS_PLUGINS)
        && draft.host.layout.user.is_some()
    {
        "an engine of 20.10 in rootless mode finds no plugin that its user may set up; upgrade it"
    } else {
        return true;
    };
    draft.problems.push(problem.to_owned());
    false
}

/// Which plugins are asked, and in which order.
fn plugins(draft: &mut Draft<'_>) {
    let socket = draft.host.settings.plugin_socket.as_deref();
    let place = &draft.host.layout.plugin_socket;
    if socket != Some(place) {
        draft.problems.push(format!(
            "settings: `plugin.socket` has to be {}, where the engine looks for a plugin of the name `ramgate`",
            place.display()
        ));
    }
    let others = of_daemon_json(draft, &["authorization-plugins"]);
    let others: Vec<String> = strings(others)
        .into_iter()
        .take_while(|name| name != "ramgate")
        .collect();
    if !others.is_empty() {
        draft.notes.push(format!(
            "the engine asks its other plugins before ramgate, as it does now: {}; the first that denies ends it",
            others.join(", ")
        ));
    }
}

/// dockerd does not start when a key stands in `daemon.json` and on its command line.
fn conflicts(draft: &mut Draft<'_>) {
    let steps = &draft.steps;
    let keys = ["authorization-plugins", "registry-mirrors", "proxies"];
    for key in keys {
        let flags = draft.host.docker.flags_for(key);
        if let Some(flag) = flags.first()
            && steps.iter().any(|step| step.edits_key(key))
        {
            draft.problems.push(format!(
                "dockerd is started with `{flag}`, and does not start when `{key}` stands in daemon.json too: move what the flag says \
                 into {} and restart the engine, then run {} again",
                draft.host.docker.daemon_json.display(),
                draft.host.layout.binary.display()
            ));
        }
    }
}

pub(super) fn of_daemon_json(draft: &Draft<'_>, key: &[&str]) -> Option<Value> {
    draft.value(&draft.host.docker.daemon_json, key)
}

/// 20.10 looks for plugins in the system's directories alone, whoever runs it. Tried on 26.1 and 28.5.
const USERS_PLUGINS: u32 = 23;
