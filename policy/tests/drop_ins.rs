//! Drop-ins tighten and do nothing else; and what holds of every policy.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use ramgate_policy::{
    Action, Categories, Category, Decision, Folded, LocalDecision, LocalImage, Policy, Request,
    Standing, Subject,
};
use serde_json::{Value, json};

const BASE: &str = r#"{ "version": 1,
    "registries": [{ "host": "docker.io" }, { "host": "ghcr.io", "repositories": ["acme/**"], "actions": ["pull", "push"] }],
    "docker-hub": { "official": "allow", "organizations": ["acme"], "repositories": ["grafana/*"] },
    "local-images": { "load": "allow" }, "subjects": { "owners": ["alice"] } }"#;

fn base() -> Policy {
    Policy::parse(BASE).unwrap()
}

#[track_caller]
fn check(drop_in: &str, expected: &[&str]) {
    let findings: Vec<String> = match base().tightened("10-test.json", drop_in) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(findings, expected, "{drop_in}");
}

const LOOSER: &str = "the policy itself does not allow this, and a drop-in may only tighten; take it out here, or allow it in the policy";

#[test]
fn a_drop_in_that_loosens_is_refused_by_its_key() {
    check(
        r#"{ "version": 1,
  "registries": [ { "host": "docker.io" },
    { "host": "quay.io" },
    { "host": "ghcr.io", "repositories": ["other/**"] },
    { "host": "docker.io", "repositories": ["acme/app"], "actions": ["push"] } ],
  "docker-hub": {
    "community": "allow",
    "organizations": ["evil"],
    "repositories": ["evil/tool"] },
  "local-images": { "import": "allow", "load": "deny" } }"#,
        &[
            &format!("line 3: registries[1]: {LOOSER}"),
            &format!("line 4: registries[2]: {LOOSER}"),
            &format!("line 5: registries[3]: {LOOSER}"),
            &format!("line 7: docker-hub.community: {LOOSER}"),
            &format!("line 8: docker-hub.organizations[0]: {LOOSER}"),
            &format!("line 9: docker-hub.repositories[0]: {LOOSER}"),
            &format!("line 10: local-images.import: {LOOSER}"),
        ],
    );
    check(
        r#"{ "version": 1, "subjects": { "owners": ["mallory"] }, "mode": "audit" }"#,
        &[
            "line 1: subjects.owners: unknown key; known here: require-identity",
            "line 1: mode: unknown key; known here: $schema, docker-hub, local-images, registries, subjects, version, watch",
        ],
    );
}

#[test]
fn a_drop_in_takes_away_and_its_denials_name_it() {
    let policy = base()
        .tightened(
            "20-site.json",
            r#"{ "version": 1, "docker-hub": { "organizations": ["acme"] }, "local-images": { "load": "deny" } }"#,
        )
        .unwrap()
        .tightened("30-more.json", r#"{ "version": 1, "registries": [{ "host": "docker.io" }], "watch": "stop" }"#)
        .unwrap();
    let text = |reference: &str, subject: &Subject| {
        let repository = reference.parse().unwrap();
        match policy.evaluate(&Request {
            repository: &repository,
            action: Action::Pull,
            subject,
        }) {
            Decision::Allow(permit) => permit.grant().rule().to_owned(),
            Decision::Deny(denial) => denial.rule(),
        }
    };
    let anonymous = Subject::Anonymous;
    assert_eq!(text("acme/app", &anonymous), "docker-hub.organizations");
    assert_eq!(
        text("alpine", &anonymous),
        "20-site.json: docker-hub.official"
    );
    assert_eq!(
        text("ghcr.io/acme/app", &anonymous),
        "30-more.json: registries"
    );
    assert_eq!(
        text("alpine", &Subject::User("alice".to_owned())),
        "subjects.owners"
    );
    assert!(policy.stops_denied());
    assert!(matches!(
        policy.evaluate_local(LocalImage::Load, &anonymous),
        LocalDecision::Deny(_)
    ));
}

// === what holds of every policy ===

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "library"]).prop_map(str::to_owned)
}

fn host() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "docker.io",
        "ghcr.io",
        "*.corp.example",
        "x.corp.example",
        "mirror.gcr.io",
    ])
    .prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    (name(), prop::sample::select(vec!["/**", "/*", "/a", "/b*"]))
        .prop_map(|(name, end)| name + end)
}

fn registry() -> impl Strategy<Value = Value> {
    let actions = prop::sample::select(vec![
        json!(["pull"]),
        json!(["push"]),
        json!(["pull", "push"]),
    ]);
    (
        host(),
        prop::option::of(prop::collection::btree_set(pattern(), 1..3)),
        actions,
    )
        .prop_map(|(host, repositories, actions)| match repositories {
            Some(repositories) => {
                json!({ "host": host, "repositories": repositories, "actions": actions })
            }
            None => json!({ "host": host, "actions": actions }),
        })
}

fn hub() -> impl Strategy<Value = Value> {
    let switch = || prop::sample::select(vec!["allow", "deny"]);
    let organization = prop::sample::select(vec!["a", "b"]);
    let names = prop::sample::select(vec!["all", "all", "listed"]);
    let switches = (switch(), switch(), switch(), switch());
    let exempt = (
        prop::collection::btree_set(organization, 0..2),
        prop::collection::btree_set(pattern(), 0..2),
    );
    (switches, names, exempt).prop_map(
        |((official, publisher, sponsored, community), names, (organizations, repositories))| {
            json!({ "official": official, "verified-publisher": publisher, "sponsored-open-source": sponsored,
                    "community": community, "official-names": names,
                    "organizations": organizations, "repositories": repositories })
        },
    )
}

/// A policy, or the part of one that a drop-in can have.
fn policy() -> impl Strategy<Value = Value> {
    (
        prop::option::of(prop::collection::vec(registry(), 0..4)),
        prop::option::of(hub()),
    )
        .prop_map(|(registries, hub)| {
            let mut policy = serde_json::Map::new();
            policy.insert("version".to_owned(), json!(1));
            if let Some(registries) = registries {
                policy.insert("registries".to_owned(), json!(registries));
            }
            if let Some(hub) = hub {
                policy.insert("docker-hub".to_owned(), hub);
            }
            Value::Object(policy)
        })
}

/// Every decision that there is to make, each with the rule.
fn decisions(policy: &Policy) -> Vec<(bool, String)> {
    let mut all = Vec::new();
    for host in [
        "docker.io",
        "ghcr.io",
        "x.corp.example",
        "y.corp.example",
        "mirror.gcr.io",
        "quay.io",
    ] {
        for path in ["a/a", "a/b", "b/a/a", "ab/b", "library/a"] {
            let repository = format!("{host}/{path}").parse().unwrap();
            for action in [Action::Pull, Action::Push, Action::Run] {
                let request = Request {
                    repository: &repository,
                    action,
                    subject: &Subject::Anonymous,
                };
                all.push(match policy.evaluate(&request) {
                    Decision::Allow(permit) => (true, permit.grant().rule().to_owned()),
                    Decision::Deny(denial) => (false, denial.rule()),
                });
            }
        }
    }
    all
}

/// Rules that are there whatever is written.
const FIXED: [&str; 7] = [
    "registries",
    "registries is absent",
    "docker-hub.organizations",
    "docker-hub.official",
    "docker-hub.verified-publisher",
    "docker-hub.sponsored-open-source",
    "docker-hub.community",
];

/// A policy that may have a team, of which `m` is a member.
fn with_team() -> impl Strategy<Value = Value> {
    (policy(), prop::option::of(hub())).prop_map(|(mut policy, hub)| {
        if let Some(hub) = hub {
            let subjects = json!({ "teams": { "all": { "members": ["m*"], "docker-hub": hub } } });
            let policy = policy.as_object_mut().unwrap();
            policy.insert("subjects".to_owned(), subjects);
        }
        policy
    })
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

/// Whether each request is allowed, to nobody and to a member of a team.
fn allowed(policy: &Policy) -> Vec<bool> {
    let mut all = Vec::new();
    for subject in [Subject::Anonymous, Subject::User("m".to_owned())] {
        for host in [
            "docker.io",
            "ghcr.io",
            "x.corp.example",
            "mirror.gcr.io",
            "quay.io",
        ] {
            for path in [
                "a/a",
                "a/b",
                "a/ba",
                "b/a",
                "b/a/a",
                "ab/b",
                "library/a",
                "library/alpine",
            ] {
                let repository = format!("{host}/{path}").parse().unwrap();
                for action in [Action::Pull, Action::Push] {
                    let request = Request {
                        repository: &repository,
                        action,
                        subject: &subject,
                    };
                    all.push(matches!(
                        policy.evaluate_knowing(&request, &Told),
                        Decision::Allow(_)
                    ));
                }
            }
        }
    }
    all
}

proptest! {
    #[test]
    fn a_policy_with_its_drop_ins_in_one_file_allows_nothing_more(base in with_team(), drop_ins in prop::collection::vec(policy(), 1..3)) {
        let Ok(mut policy) = Policy::parse(&base.to_string()) else { return Ok(()) };
        let mut folded = Folded::read(&base.to_string()).unwrap();
        for drop_in in &drop_ins {
            let text = drop_in.to_string();
            if let Ok(tightened) = policy.clone().tightened("t.json", &text) {
                policy = tightened;
                if folded.fold("t.json", &text).is_err() {
                    return Ok(());
                }
            }
        }
        let text = serde_json::to_string(&folded.file).unwrap();
        let folded_policy = Policy::parse(&text);
        prop_assert!(folded_policy.is_ok(), "{text}: {folded_policy:?}");
        let (apart, together) = (allowed(&policy), allowed(&folded_policy.unwrap()));
        for (apart, together) in apart.iter().zip(together) {
            prop_assert!(*apart || !together, "{text}");
        }
    }

    #[test]
    fn a_drop_in_never_allows_what_the_policy_denies(base in policy(), first in policy(), second in policy()) {
        let Ok(base) = Policy::parse(&base.to_string()) else { return Ok(()) };
        let before = decisions(&base);
        for order in [[&first, &second], [&second, &first]] {
            let mut policy = base.clone();
            for drop_in in order {
                if let Ok(tightened) = policy.clone().tightened("t.json", &drop_in.to_string()) {
                    policy = tightened;
                }
            }
            for (before, after) in before.iter().zip(decisions(&policy)) {
                prop_assert!(before.0 || !after.0);
            }
        }
    }

    #[test]
    fn the_order_of_drop_ins_and_of_rules_is_of_no_matter(base in policy(), first in policy(), second in policy()) {
        let turned = {
            let mut turned = base.clone();
            if let Some(registries) = turned.get_mut("registries").and_then(Value::as_array_mut) {
                registries.reverse();
            }
            turned
        };
        let (Ok(base), turned) = (Policy::parse(&base.to_string()), Policy::parse(&turned.to_string())) else { return Ok(()) };
        let answers = |policy: &Policy| decisions(policy).into_iter().map(|(allowed, _)| allowed).collect::<Vec<_>>();
        prop_assert_eq!(answers(&base), answers(&turned.unwrap()));
        let both = |one: &Value, other: &Value| {
            let policy = base.clone().tightened("1.json", &one.to_string());
            policy.and_then(|policy| policy.tightened("2.json", &other.to_string()))
        };
        match (both(&first, &second), both(&second, &first)) {
            (Ok(one), Ok(other)) => prop_assert_eq!(answers(&one), answers(&other)),
            (one, other) => prop_assert_eq!(one.is_ok(), other.is_ok()),
        }
    }

    #[test]
    fn what_is_denied_besides_allows_nothing_more(base in policy(), denied in pattern()) {
        let Ok(before) = Policy::parse(&base.to_string()) else { return Ok(()) };
        // The right that it does not give is denied below it.
        let mut after = base.clone();
        if let Some(registries) = after.get_mut("registries").and_then(Value::as_array_mut) {
            registries.push(json!({ "host": "ghcr.io", "repositories": [denied], "actions": ["push"] }));
        }
        after["docker-hub"]["verified-publisher"] = json!("deny");
        let Ok(after) = Policy::parse(&after.to_string()) else { return Ok(()) };
        for (index, (before, after)) in decisions(&before).into_iter().zip(decisions(&after)).enumerate() {
            // Pulls and runs: pushes are what the new rule gives.
            if index % 3 != 1 {
                prop_assert!(before.0 || !after.0);
            }
        }
    }

    #[test]
    fn every_decision_names_a_rule_that_is_there(text in policy()) {
        let Ok(policy) = Policy::parse(&text.to_string()) else { return Ok(()) };
        let hosts: Vec<String> = text["registries"].as_array().into_iter().flatten()
            .map(|registry| format!("registries[{}]", registry["host"].as_str().unwrap())).collect();
        let patterns: Vec<String> = text["docker-hub"]["repositories"].as_array().into_iter().flatten()
            .map(|pattern| format!("docker-hub.repositories[{}]", pattern.as_str().unwrap())).collect();
        for (_, rule) in decisions(&policy) {
            prop_assert!(FIXED.contains(&rule.as_str()) || hosts.contains(&rule) || patterns.contains(&rule), "{}", rule);
        }
    }
}
