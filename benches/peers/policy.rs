//! A policy with any number of rules.

/// `count` registries with two repository patterns each, half as many wildcard hosts, one registry with `count` patterns, and
/// Docker Hub by categories.
pub(crate) fn text(count: usize) -> String {
    let mut registries: Vec<String> = (0..count).map(rule).collect();
    registries.extend((0..count / 2).map(|index| format!(r#"{{ "host": "*.w{index}.example" }}"#)));
    let wild: Vec<String> = (0..count)
        .map(|index| format!(r#""group-{index}/**""#))
        .collect();
    registries.push(format!(
        r#"{{ "host": "wild.example", "repositories": [{}] }}"#,
        wild.join(",")
    ));
    registries.push(r#"{ "host": "docker.io" }"#.to_owned());
    format!(
        r#"{{ "version": 1, "registries": [{}], "docker-hub": {{ "official": "allow", "organizations": ["acme"] }} }}"#,
        registries.join(",\n")
    )
}

fn rule(index: usize) -> String {
    format!(
        r#"{{ "host": "r{index}.example", "repositories": ["team-{index}/**", "shared/app-{index}"] }}"#
    )
}

/// The numbers of rules that are compared.
pub(crate) const FEW: usize = 10;
pub(crate) const MANY: usize = 100_000;
