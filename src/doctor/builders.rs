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

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::facts::Container;
    use super::super::tests::{check as told, well};
    use super::*;

    #[test]
    fn builders_in_containers_are_told_by_name_and_by_image() {
        let container = |name: &str, image: &str| Container {
            names: vec![format!("/{name}")],
            image: image.to_owned(),
        };
        let mut well = well();
        assert_eq!(check(&well.facts)[0].health, Health::Ok);
        for builder in [
            container("buildx_buildkit_mine0", "sha256:1"),
            container("quiet", "moby/buildkit:buildx-stable-1"),
        ] {
            let name = builder.names[0].trim_start_matches('/').to_owned();
            well.facts.containers = Ok(vec![container("web", "nginx"), builder]);
            let says = format!("the container `{name}` is a builder");
            told(
                &check(&well.facts),
                Health::Warning,
                &says,
                &format!("docker rm -f {name};"),
            );
        }
        well.facts.containers = Err("the engine is away".to_owned());
        told(
            &check(&well.facts),
            Health::Warning,
            "the engine is away",
            "see that the engine runs",
        );
    }
}
