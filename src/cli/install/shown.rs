//! A plan as it is shown.

use serde_json::json;

use crate::cli::{CommandError, say};
use crate::install::{Apply, Gates, Host, Plan, Route};

/// For somebody who is about to agree.
pub(super) fn show(plan: &Plan, host: &Host) -> Result<(), CommandError> {
    if plan.is_empty() {
        return say(format_args!(
            "everything is as level {} wants it; there is nothing to do",
            plan.level
        ));
    }
    if plan.resumes {
        say("an installation was interrupted here; this goes on with it\n")?;
    }
    for step in &plan.steps {
        say(format_args!("# {}\n{}", step.purpose, step.diff()))?;
    }
    if let Some(rules) = &plan.rules {
        say("# the firewall's rules, which `ramgate egress nft` puts in force and takes out")?;
        for line in rules.lines() {
            say(format_args!("+{line}"))?;
        }
        say("")?;
    }
    if !plan.routes.is_empty() {
        say(format_args!("{:<40} {}", "REGISTRY", "REACHED"))?;
        for (registry, route) in &plan.routes {
            say(format_args!("{registry:<40} {}", words(*route)))?;
        }
        say(format_args!(
            "{:<40} {}\n",
            "all others", "refused, unless the policy allows them"
        ))?;
    }
    for action in actions(plan, host) {
        say(format_args!("then: {action}"))?;
    }
    for note in &plan.notes {
        say(format_args!("note: {note}"))?;
    }
    Ok(())
}

fn actions(plan: &Plan, host: &Host) -> Vec<&'static str> {
    let gates = match plan.gates {
        Gates::Leave => None,
        Gates::Start => Some("start the gates, and wait until the plugin answers"),
        Gates::Restart => Some("restart the gates; what the engine asks meanwhile waits"),
    };
    let rules = plan.rules.is_some() && host.is_live();
    let rules = rules.then_some("send what containers fetch by themselves to the network gate");
    let engine = match plan.engine {
        Apply::Reload => Some("reload the engine; containers notice nothing"),
        Apply::Restart => Some("restart the engine"),
        Apply::Nothing if host.is_live() && host.docker.running.is_none() => {
            Some("the engine does not run: it takes this when it starts")
        }
        Apply::Nothing => None,
    };
    gates.into_iter().chain(rules).chain(engine).collect()
}

const fn words(route: Route) -> &'static str {
    match route {
        Route::Mirror => "through ramgate's mirror",
        Route::Direct => "directly, with users' own logins; judged by the other two gates",
        Route::Inspect => "directly, with users' own logins; read on the way, judged by repository",
    }
}

/// For programs.
pub(super) fn as_json(plan: &Plan) -> serde_json::Value {
    let steps: Vec<serde_json::Value> = plan
        .steps
        .iter()
        .map(|step| json!({ "path": step.path, "part": step.part, "purpose": step.purpose, "diff": step.diff() }))
        .collect();
    let routes: serde_json::Map<String, serde_json::Value> = plan
        .routes
        .iter()
        .map(|(registry, route)| {
            let word = match route {
                Route::Mirror => "mirror",
                Route::Direct => "direct",
                Route::Inspect => "inspect",
            };
            (registry.clone(), json!(word))
        })
        .collect();
    let gates = match plan.gates {
        Gates::Leave => "leave",
        Gates::Start => "start",
        Gates::Restart => "restart",
    };
    let engine = match plan.engine {
        Apply::Nothing => "leave",
        Apply::Reload => "reload",
        Apply::Restart => "restart",
    };
    json!({
        "level": plan.level, "steps": steps, "gates": gates, "rules": plan.rules, "engine": engine, "registries": routes, "notes": plan.notes,
        "resumes": plan.resumes,
    })
}
