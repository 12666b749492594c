//! The policy file: every mistake is found, at once, with its line and key.

use ramgate_policy::Policy;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let findings: Vec<String> = match Policy::parse(text) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(findings, expected, "{text}");
}

#[test]
fn the_example_is_valid() {
    check(include_str!("../../examples/policy.json"), &[]);
}

#[test]
fn the_smallest_policy_is_a_version() {
    check(r#"{ "version": 1 }"#, &[]);
    check("{}", &["line 1: the key `version` is missing"]);
    check(
        r#"{ "version": 2 }"#,
        &["line 1: version: this ramgate reads version 1, not 2"],
    );
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line_and_key() {
    check(
        r#"{
  "version": 1,
  "registrys": [],
  "mode": "lenient",
  "registries": [
    { "host": "" },
    { "host": "ghcr.io", "repositories": ["Acme/**", "acme/**"], "action": ["pull"] },
    { "host": "quay.io", "actions": ["pull", "delete"] },
    { "host": 5 }
  ],
  "docker-hub": { "official": true },
  "docker-hub": { }
}"#,
        &[
            "line 3: registrys: unknown key, did you mean `registries`?; known here: $schema, contact, docker-hub, egress, local-images, mode, origins, origins-by-digest, registries, subjects, version, watch",
            "line 4: mode: `lenient` is not one of enforce, audit",
            "line 7: registries[1].action: unknown key, did you mean `actions`?; known here: actions, host, redirect-hosts, repositories",
            "line 8: registries[2].actions[1]: `delete` is not one of pull, push",
            "line 9: registries[3].host: a string is expected, not a number",
            "line 11: docker-hub.official: a string is expected, not a boolean",
            "line 12: docker-hub: this key stands twice; only one can be meant",
        ],
    );
}

#[test]
fn mistakes_of_meaning_are_reported_at_once() {
    check(
        r#"{
  "version": 1,
  "contact": "a\nb",
  "registries": [
    { "host": "" },
    { "host": "https://ghcr.io" },
    { "host": "ghcr.io:99999" },
    { "host": "quay.io", "repositories": [] },
    { "host": "quay.io", "actions": [] },
    { "host": "nvcr.io", "repositories": ["Acme/**", "a/**/b"] },
    { "host": "gcr.io" },
    { "host": "GCR.io:443" }
  ],
  "docker-hub": { "organizations": ["library", "a/b"], "repositories": ["/x"] },
  "origins": [ { "prefix": "harbor.example/HUB/", "origin": "docker.io/" } ],
  "egress": { "hosts": ["a b"] },
  "subjects": { "owners": [""] }
}"#,
        &[
            "line 3: contact: a contact is one line of at most 256 bytes, without control characters",
            "line 5: registries[0].host: ``: the host is empty; `host`, `host:port` or `*.domain` is expected",
            "line 6: registries[1].host: `https://ghcr.io`: the port is not a number from 1 to 65535; `host`, `host:port` or `*.domain` is expected",
            "line 7: registries[2].host: `ghcr.io:99999`: the port is not a number from 1 to 65535; `host`, `host:port` or `*.domain` is expected",
            "line 8: registries[3].repositories: an empty list allows nothing; leave the key out to allow all",
            "line 9: registries[4].actions: an empty list allows nothing; leave the registry out, or the key",
            "line 10: registries[5].repositories[0]: `Acme/**`: `A` stands in no repository path, so this pattern would never match",
            "line 10: registries[5].repositories[1]: `a/**/b`: `**` stands alone as the last component, as in `acme/**`",
            "line 12: registries[7]: `GCR.io:443` with `**` stands in registries[6] already; join the two",
            "line 14: docker-hub.organizations[0]: `library` is Docker's own namespace; use `official`",
            "line 14: docker-hub.organizations[1]: `a/b` is no namespace of Docker Hub: lower-case letters, digits, `.`, `_`, `-`",
            "line 14: docker-hub.repositories[0]: `/x`: a pattern has no empty component: no slash at either end, no `//`",
            "line 15: origins[0].prefix: `harbor.example/HUB/`: invalid reference format; `host/path/` is expected",
            "line 16: egress.hosts[0]: `a b`: the host has a character or an empty label that no host name has; `host`, `host:port` or `*.domain` is expected",
            "line 17: subjects.owners[0]: the name is empty",
        ],
    );
}

#[test]
fn text_that_is_not_exactly_one_json_value_is_refused() {
    for text in [
        "",
        " ",
        "[]",
        "null",
        "\u{feff}{ \"version\": 1 }",
        "{ \"version\": 1 } {}",
        "{ \"version\": 1 } }",
        "{ \"version\": 1, }",
        "{ \"version\": 1 // comment\n }",
        "{ 'version': 1 }",
        "{ version: 1 }",
        "{ \"version\": 0x1 }",
        "{ \"version\": 1.0 }",
        "{ \"version\": -1 }",
        "{ \"version\": \"1\" }",
        "{ \"version\": 1, \"contact\": null }",
        "{ \"version\": 1",
        "{ \"version\": 1, \"vers\\u0069on\": 1 }",
    ] {
        assert!(Policy::parse(text).is_err(), "{text}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_a_crash() {
    let text = format!(
        "{{ \"version\": {}1{} }}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(Policy::parse(&text).is_err());
}

#[test]
fn the_published_schema_is_the_one_that_is_enforced() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.schema.json");
    let published: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        published,
        Policy::schema(),
        "write it anew with `make golden`"
    );
}
