//! The decision matrix as a golden file: repository × action × caller under several policies. A change of meaning shows as
//! a diff of `tests/golden/`; `make golden` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use ramgate_policy::{
    Action, Decision, LocalDecision, LocalImage, Policy, Request, Steering, Subject, TunnelDecision,
};

/// The example of the documentation: every key is used.
const FULL: &str = include_str!("../../examples/policy.json");

const CATEGORIES: &str =
    r#"{ "version": 1, "docker-hub": { "official": "allow", "organizations": ["acme"] } }"#;

const REGISTRIES: &str = r#"{ "version": 1, "registries": [
    { "host": "ghcr.io", "repositories": ["acme/**"] },
    { "host": "ghcr.io", "repositories": ["acme/frozen/*"], "actions": ["push"] },
    { "host": "*.corp.example", "actions": ["pull", "push"] },
    { "host": "deep.corp.example", "repositories": ["team/**"] },
    { "host": "plain.example:5000" } ] }"#;

const IDENTITY: &str =
    r#"{ "version": 1, "subjects": { "require-identity": true, "owners": ["root"] } }"#;

const AUDIT: &str =
    r#"{ "version": 1, "mode": "audit", "registries": [], "local-images": { "load": "deny" } }"#;

const OPEN: &str = r#"{ "version": 1 }"#;

const POLICIES: [(&str, &str); 6] = [
    ("full", FULL),
    ("categories", CATEGORIES),
    ("registries", REGISTRIES),
    ("identity", IDENTITY),
    ("audit", AUDIT),
    ("open", OPEN),
];

const REPOSITORIES: [&str; 26] = [
    "alpine",
    "docker.io/library/alpine",
    "Docker.IO/alpine",
    "registry-1.docker.io:443/library/alpine",
    "acme/app",
    "acme-evil/app",
    "evil/tool",
    "grafana/grafana",
    "grafana/other",
    "bitnami/redis",
    "mirror.gcr.io/library/alpine",
    "mirror.gcr.io/evil/tool",
    "harbor.acme.example/hub/library/alpine",
    "harbor.acme.example/hub/evil/tool",
    "harbor.acme.example/own/app",
    "ghcr.io/acme/app",
    "ghcr.io/acme/frozen/app",
    "ghcr.io/other/app",
    "GHCR.IO:443/acme/app",
    "ghcr.io:5000/acme/app",
    "one.corp.example/x",
    "corp.example/x",
    "deep.corp.example/team/x",
    "deep.corp.example/other/x",
    "plain.example/x",
    "plain.example:5000/x",
];

#[test]
fn decisions_are_as_reviewed() {
    let subjects = [
        Subject::Daemon,
        Subject::Anonymous,
        Subject::User("alice".to_owned()),
        Subject::User("ci-7".to_owned()),
        Subject::User("root".to_owned()),
    ];
    let mut matrix = String::new();
    for (name, text) in POLICIES {
        let policy = Policy::parse(text).unwrap();
        writeln!(matrix, "# {name}").unwrap();
        for repository in REPOSITORIES {
            for action in [Action::Pull, Action::Push, Action::Run] {
                let row: Vec<String> = subjects
                    .iter()
                    .map(|subject| cell(&policy, repository, action, subject))
                    .collect();
                writeln!(matrix, "{repository:42} {action:5} {}", row.join("  ")).unwrap();
            }
        }
    }
    let columns: Vec<&str> = subjects.iter().map(Subject::principal).collect();
    golden(
        "decisions",
        &format!("columns: {}\n{matrix}", columns.join(", ")),
    );
}

fn cell(policy: &Policy, repository: &str, action: Action, subject: &Subject) -> String {
    let repository = repository.parse().unwrap();
    match policy.evaluate(&Request {
        repository: &repository,
        action,
        subject,
    }) {
        Decision::Allow(permit) => match permit.grant().suppressed() {
            Some(denial) => format!("✔ would be {}", denial.reason().code()),
            None => format!("✔ {}", permit.grant().rule()),
        },
        Decision::Deny(denial) => format!("✘ {}", denial.reason().code()),
    }
}

#[test]
fn tunnels_are_as_reviewed() {
    let hosts = [
        ("registry-1.docker.io", 443),
        ("auth.docker.io", 443),
        ("production.cloudflare.docker.com", 443),
        ("ghcr.io", 443),
        ("ghcr.io", 80),
        ("pkg-containers.githubusercontent.com", 443),
        ("quay.io", 443),
        ("registry.acme.example", 5000),
        ("s3.acme.example", 443),
        ("downloads.acme.example", 80),
        ("downloads.acme.example", 22),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", 443),
        (
            "prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com",
            443,
        ),
        (
            "prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com",
            443,
        ),
        ("plain.example", 5000),
        ("169.254.169.254", 80),
    ];
    let mut matrix = String::new();
    for (name, text) in POLICIES {
        let policy = Policy::parse(text).unwrap();
        for docker_hub_by_mirror in [true, false] {
            writeln!(
                matrix,
                "# {name}, Docker Hub by the mirror: {docker_hub_by_mirror}"
            )
            .unwrap();
            for (host, port) in hosts {
                let decision = policy.evaluate_tunnel(
                    &host.parse().unwrap(),
                    port,
                    &Steering {
                        docker_hub_by_mirror,
                        inspect: false,
                    },
                );
                let cell = match decision {
                    TunnelDecision::Allow(permit) => match permit.grant().suppressed() {
                        Some(denial) => format!("✔ would be {}", denial.reason().code()),
                        None => format!("✔ {}", permit.grant().rule()),
                    },
                    TunnelDecision::Deny(denial) => format!("✘ {}", denial.reason().code()),
                };
                writeln!(matrix, "{:72} {cell}", format!("{host}:{port}")).unwrap();
            }
        }
    }
    golden("tunnels", &matrix);
}

#[test]
fn local_images_are_as_reviewed() {
    let kinds = [
        LocalImage::Build,
        LocalImage::Builder,
        LocalImage::Load,
        LocalImage::Import,
        LocalImage::Commit,
        LocalImage::Tag,
        LocalImage::Unknown,
    ];
    let mut matrix = String::new();
    for (name, text) in POLICIES {
        let policy = Policy::parse(text).unwrap();
        writeln!(matrix, "# {name}").unwrap();
        for kind in kinds {
            for subject in [
                Subject::Anonymous,
                Subject::User("alice".to_owned()),
                Subject::User("root".to_owned()),
            ] {
                let cell = match policy.evaluate_local(kind, &subject) {
                    LocalDecision::Allow(grant) => match grant.suppressed() {
                        Some(denial) => format!("✔ would be {}", denial.reason().code()),
                        None => format!("✔ {}", grant.rule()),
                    },
                    LocalDecision::Gated(..) => "gated".to_owned(),
                    LocalDecision::Deny(denial) => format!("✘ {}", denial.reason().code()),
                };
                writeln!(
                    matrix,
                    "{:10} {:10} {cell}",
                    kind.key(),
                    subject.principal()
                )
                .unwrap();
            }
        }
    }
    golden("local-images", &matrix);
}

fn golden(name: &str, matrix: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, matrix));
}
