//! How long a decision takes, by the number of rules: it should not matter.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up is of no use"
)]

use divan::{Bencher, black_box};
use ramgate_policy::{Action, Policy, Reference, Request, Steering, Subject};

fn main() {
    divan::main();
}

/// `count` registries with a rule of two repository patterns each, and Docker Hub with categories.
fn policy(count: usize) -> Policy {
    let mut registries: Vec<String> = (0..count)
        .map(|index| format!(r#"{{ "host": "r{index}.example", "repositories": ["team-{index}/**", "shared/app-{index}"] }}"#))
        .collect();
    registries.push(r#"{ "host": "docker.io" }"#.to_owned());
    registries.push(r#"{ "host": "*.corp.example" }"#.to_owned());
    let text = format!(
        r#"{{ "version": 1, "registries": [{}], "docker-hub": {{ "official": "allow", "organizations": ["acme"] }} }}"#,
        registries.join(",")
    );
    Policy::parse(&text).expect("the policy is valid")
}

const RULES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

#[divan::bench(args = RULES)]
fn evaluate_allowed(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = policy(rules);
    let repository = format!("r{}.example/team-{}/app/x", rules / 2, rules / 2)
        .parse()
        .expect("a reference");
    let request = Request {
        repository: &repository,
        action: Action::Pull,
        subject: &Subject::Anonymous,
    };
    bencher.bench_local(|| policy.evaluate(black_box(&request)));
}

#[divan::bench(args = RULES)]
fn evaluate_denied(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = policy(rules);
    let repository = "unknown.example/a/b/c".parse().expect("a reference");
    let request = Request {
        repository: &repository,
        action: Action::Pull,
        subject: &Subject::Anonymous,
    };
    bencher.bench_local(|| policy.evaluate(black_box(&request)));
}

#[divan::bench(args = RULES)]
fn read_and_evaluate_docker_hub(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = policy(rules);
    bencher.bench_local(|| {
        let reference: Reference = black_box("alpine:3.20").parse().expect("a reference");
        let repository = reference.repository().expect("a repository");
        policy.evaluate(&Request {
            repository: &repository,
            action: Action::Pull,
            subject: &Subject::Anonymous,
        })
    });
}

#[divan::bench(args = RULES)]
fn evaluate_tunnel(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = policy(rules);
    let host = format!("r{}.example", rules / 2).parse().expect("a host");
    bencher.bench_local(|| {
        policy.evaluate_tunnel(
            black_box(&host),
            443,
            &Steering {
                docker_hub_by_mirror: true,
            },
        )
    });
}
