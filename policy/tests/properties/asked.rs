//! Every question that there is to ask of a policy, over a small world.

use std::collections::BTreeSet;

use ramgate_policy::{
    Action, Categories, Category, Decision, Denial, Grant, LocalDecision, LocalImage, Policy,
    Repository, Request, Standing, Steering, Subject, TunnelDecision,
};

/// An answer: how much is allowed, and by which rule.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) question: String,
    /// The name of who asks, where it matters who.
    pub(crate) caller: &'static str,
    /// Whether the caller matters.
    pub(crate) is_of_caller: bool,
    /// Whether content comes in by a name.
    pub(crate) is_fetch: bool,
    /// 0: no. 1: while the gates are in force. 2: yes.
    pub(crate) level: u8,
    pub(crate) rule: String,
}

/// Which categories are told apart beside official and community.
struct Told;

impl Categories for Told {
    fn standing(&self, namespace: &str) -> Standing {
        Standing::Is(match namespace {
            "b" => Category::VerifiedPublisher,
            "ab" => Category::SponsoredOpenSource,
            _ => Category::Community,
        })
    }
}

const HOSTS: [&str; 8] = [
    "docker.io",
    "ghcr.io",
    "x.corp.example",
    "y.corp.example",
    "mirror.gcr.io",
    "quay.io",
    "site.example:5000",
    "localhost:5050",
];
const PATHS: [&str; 7] = [
    "a/a",
    "a/ba",
    "b/a/a",
    "b/a",
    "ab/b",
    "library/a",
    "library/alpine",
];
/// Hosts of the network, those of Docker Hub and of no registry too.
const PLACES: [(&str, u16); 8] = [
    ("registry-1.docker.io", 443),
    ("auth.docker.io", 443),
    ("ghcr.io", 443),
    ("x.corp.example", 443),
    ("site.example", 5000),
    ("cdn.example", 443),
    ("files.example", 80),
    ("quay.io", 443),
];

/// What `policy` answers, in an order that is always the same.
pub(crate) fn answers(policy: &Policy) -> Vec<Answer> {
    let policy = &policy
        .clone()
        .with_mirrors(["localhost:5050".parse().unwrap()]);
    let mut all = Vec::new();
    for caller in ["", "m1"] {
        let subject = match caller {
            "" => Subject::Anonymous,
            name => Subject::User(name.to_owned()),
        };
        of_caller(policy, caller, &subject, &mut all);
    }
    of_hosts(policy, &mut all);
    all
}

fn of_caller(policy: &Policy, caller: &'static str, subject: &Subject, all: &mut Vec<Answer>) {
    let mut add = |question: String, is_fetch, (level, rule)| {
        all.push(Answer {
            question,
            caller,
            is_of_caller: true,
            is_fetch,
            level,
            rule,
        });
    };
    for host in HOSTS {
        for path in PATHS {
            let repository: Repository = format!("{host}/{path}").parse().unwrap();
            for action in [Action::Pull, Action::Push, Action::Run] {
                let request = Request {
                    repository: &repository,
                    action,
                    subject,
                };
                let answer = match policy.evaluate_knowing(&request, &Told) {
                    Decision::Allow(permit) => yes(permit.grant()),
                    Decision::Deny(denial) => no(&denial),
                };
                add(
                    format!("{action} {repository}"),
                    action != Action::Push,
                    answer,
                );
            }
        }
        let registry = host.parse().unwrap();
        let answer = policy.evaluate_registry(&registry, subject);
        add(
            format!("search {host}"),
            false,
            answer.as_ref().map_or_else(no, yes),
        );
    }
    for (one, other) in [
        ("a/a", "ghcr.io/a/a"),
        ("ab/b", "quay.io/b/a"),
        ("mirror.gcr.io/b/a", "ghcr.io/b/a"),
    ] {
        let origins: BTreeSet<Repository> = [one, other].map(|name| name.parse().unwrap()).into();
        let answer = policy.evaluate_content_knowing(&origins, subject, &Told);
        let answer = match &answer {
            Ok(grant) => yes(grant),
            Err(denials) => no(denials.first().unwrap()),
        };
        add(format!("content of {one} and {other}"), true, answer);
    }
    for kind in KINDS {
        let answer = match policy.evaluate_local(kind, subject) {
            LocalDecision::Allow(grant) => yes(&grant),
            LocalDecision::Gated(grant, _) => (1, grant.rule().to_owned()),
            LocalDecision::Deny(denial) => no(&denial),
        };
        add(format!("local {}", kind.key()), false, answer);
    }
}

fn of_hosts(policy: &Policy, all: &mut Vec<Answer>) {
    for (docker_hub_by_mirror, inspect) in
        [(true, false), (false, false), (true, true), (false, true)]
    {
        let steering = Steering {
            docker_hub_by_mirror,
            inspect,
        };
        for (host, port) in PLACES {
            let name = host.parse().unwrap();
            let asked = [
                ("the daemon", policy.evaluate_tunnel(&name, port, &steering)),
                (
                    "a container",
                    policy.evaluate_captured(&name, port, &steering),
                ),
            ];
            for (who, decision) in asked {
                let (level, rule) = match decision {
                    TunnelDecision::Allow(permit) => yes(permit.grant()),
                    TunnelDecision::Deny(denial) => no(&denial),
                };
                all.push(Answer {
                    question: format!("{who} to {host}:{port}, {steering:?}"),
                    caller: "",
                    is_of_caller: false,
                    is_fetch: false,
                    level,
                    rule,
                });
            }
        }
    }
}

fn yes(grant: &Grant) -> (u8, String) {
    (2, grant.rule().to_owned())
}

fn no(denial: &Denial) -> (u8, String) {
    (0, denial.rule())
}

const KINDS: [LocalImage; 7] = [
    LocalImage::Build,
    LocalImage::Builder,
    LocalImage::Load,
    LocalImage::Import,
    LocalImage::Commit,
    LocalImage::Tag,
    LocalImage::Unknown,
];
