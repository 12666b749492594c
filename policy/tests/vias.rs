//! Which way the daemon takes to a registry, and which hosts that closes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ramgate_policy::{Policy, Registry, Steering, TunnelDecision};

const DIRECT: Steering = Steering {
    docker_hub_by_mirror: false,
    inspect: false,
};
const INSPECT: Steering = Steering {
    docker_hub_by_mirror: true,
    inspect: true,
};

#[track_caller]
fn check(registries: &str, steering: Steering, cells: &[(&str, &str)]) {
    let text = format!(r#"{{ "version": 1, "registries": [ {registries} ] }}"#);
    let policy = Policy::parse(&text).unwrap();
    for (host, expected) in cells {
        let got = match policy.evaluate_tunnel(&host.parse().unwrap(), 443, &steering) {
            TunnelDecision::Allow(permit) if permit.is_inspected() => "inspected",
            TunnelDecision::Allow(_) => "tunnel",
            TunnelDecision::Deny(denial) => denial.reason().code(),
        };
        assert_eq!(got, *expected, "{host} with {registries}");
    }
}

#[test]
fn by_the_mirror_a_registry_and_its_hosts_are_closed() {
    let registries = r#"{ "host": "quay.io", "via": "mirror", "redirect-hosts": ["cdn.example"] }, { "host": "ghcr.io" }"#;
    let cells = [
        ("quay.io", "registry-not-direct"),
        ("cdn01.quay.io", "host-not-allowed"),
        ("cdn.example", "host-not-allowed"),
        ("ghcr.io", "tunnel"),
        ("pkg-containers.githubusercontent.com", "tunnel"),
    ];
    check(registries, DIRECT, &cells);
    // The mirror itself follows redirects there.
    let text = format!(r#"{{ "version": 1, "registries": [ {registries} ] }}"#);
    let policy = Policy::parse(&text).unwrap();
    let quay: Registry = "quay.io".parse().unwrap();
    for host in ["cdn01.quay.io", "cdn.example"] {
        assert!(
            policy.names_redirect(&quay, &host.parse().unwrap(), 443),
            "{host}"
        );
    }
}

#[test]
fn what_is_inspected_is_read_and_its_blobs_are_not_the_daemons_to_fetch() {
    check(
        r#"{ "host": "ghcr.io" }, { "host": "quay.io", "via": "direct" }, { "host": "registry.gitlab.com" }"#,
        INSPECT,
        &[
            ("ghcr.io", "inspected"),
            ("pkg-containers.githubusercontent.com", "host-not-allowed"),
            ("quay.io", "tunnel"),
            ("cdn01.quay.io", "tunnel"),
            ("registry.gitlab.com", "inspected"),
            // Tokens.
            ("gitlab.com", "tunnel"),
            ("cdn.registry.gitlab-static.net", "host-not-allowed"),
        ],
    );
}

#[test]
fn docker_hub_is_inspected_where_it_was_closed() {
    let cells = [
        ("registry-1.docker.io", "inspected"),
        ("index.docker.io", "inspected"),
        ("auth.docker.io", "tunnel"),
        (
            "production.cloudfront.docker.com",
            "docker-hub-only-by-mirror",
        ),
    ];
    check(r#"{ "host": "docker.io" }"#, INSPECT, &cells);
    let closed = cells.map(|(host, _)| (host, "docker-hub-only-by-mirror"));
    check(
        r#"{ "host": "docker.io", "via": "mirror" }"#,
        INSPECT,
        &closed,
    );
    check(
        r#"{ "host": "docker.io", "via": "mirror" }"#,
        DIRECT,
        &closed,
    );
}

#[test]
fn without_inspection_there_is_no_way_where_the_policy_wants_it() {
    check(
        r#"{ "host": "ghcr.io", "via": "inspect" }"#,
        DIRECT,
        &[("ghcr.io", "registry-not-direct")],
    );
}

#[test]
fn the_closest_host_says_the_way_and_one_host_goes_one_way() {
    check(
        r#"{ "host": "*.acme.example", "via": "mirror" }, { "host": "own.acme.example", "via": "direct" }"#,
        DIRECT,
        &[
            ("a.acme.example", "registry-not-direct"),
            ("own.acme.example", "tunnel"),
        ],
    );
    let twice = r#"{ "version": 1, "registries": [
        { "host": "ghcr.io", "repositories": ["a/**"], "via": "direct" },
        { "host": "ghcr.io", "repositories": ["b/**"], "via": "mirror" } ] }"#;
    let findings = Policy::parse(twice).unwrap_err().to_string();
    assert!(
        findings.contains("another entry for `ghcr.io` says `direct`"),
        "{findings}"
    );
}

#[test]
fn hosts_that_an_entry_redirects_to_go_the_way_of_its_host_whichever_entry_says_it() {
    for registries in [
        r#"{ "host": "reg.example", "repositories": ["a/**"], "via": "mirror" },
           { "host": "reg.example", "repositories": ["b/**"], "redirect-hosts": ["cdn.test"] }"#,
        r#"{ "host": "reg.example", "repositories": ["b/**"], "redirect-hosts": ["cdn.test"] },
           { "host": "reg.example", "repositories": ["a/**"], "via": "mirror" }"#,
        r#"{ "host": "*.example", "via": "mirror" }, { "host": "reg.example", "redirect-hosts": ["cdn.test"] }"#,
    ] {
        check(
            registries,
            DIRECT,
            &[
                ("reg.example", "registry-not-direct"),
                ("cdn.test", "host-not-allowed"),
            ],
        );
    }
    check(
        r#"{ "host": "*.example", "via": "mirror" }, { "host": "reg.example", "redirect-hosts": ["cdn.test"], "via": "direct" }"#,
        DIRECT,
        &[("reg.example", "tunnel"), ("cdn.test", "tunnel")],
    );
}
