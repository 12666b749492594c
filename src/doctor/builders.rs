//! Builders beside the engine's own, which fetch by themselves.

use super::{Facts, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let containers = match &facts.containers {
        Ok(containers) => containers,
        Err(error) => {
            return vec![Finding::warning(
                CHECK,
                error.as_str(),
                "see that the engine runs",
            )];
        }
    };
    let builders = containers.iter().filter(|container| {
        let named = container
            .names
            .iter()
            .any(|name| name.trim_start_matches('/').starts_with("buildx_buildkit_"));
        named || container.image.contains("moby/buildkit")
    });
    let findings: Vec<Finding> = builders
        .map(|container| {
            let name = container.names.first().map_or("?", String::as_str);
            let name = name.trim_start_matches('/');
            Finding::warning(
                CHECK,
                format!("the container `{name}` is a builder: what it fetches comes past neither mirror nor network gate"),
                format!("docker rm -f {name}; builds then go to the engine's own builder"),
            )
        })
        .collect();
    if findings.is_empty() {
        return vec![Finding::ok(CHECK, "no builder runs in a container")];
    }
    findings
}

const CHECK: &str = "builders";
