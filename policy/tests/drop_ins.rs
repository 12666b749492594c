//! Drop-ins tighten and do nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ramgate_policy::{
    Action, Decision, Folded, LocalDecision, LocalImage, Policy, Request, Steering, Subject,
    TunnelDecision,
};

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

#[test]
fn a_drop_in_opens_what_its_registries_need_as_far_as_the_policy_does() {
    let opens = |policy: &Policy, host: &str| {
        let steering = Steering {
            docker_hub_by_mirror: true,
            inspect: false,
        };
        let decision = policy.evaluate_tunnel(&host.parse().unwrap(), 443, &steering);
        matches!(decision, TunnelDecision::Allow(_))
    };
    let registries = |hosts: &str| {
        format!(
            r#"{{ "version": 1, "registries": [{{ "host": "ghcr.io" }}, {{ "host": "site.example", "redirect-hosts": [{hosts}] }}] }}"#
        )
    };
    let needed = "pkg-containers.githubusercontent.com";
    let policy = Policy::parse(&registries(r#""one.example", "two.example""#)).unwrap();
    for host in [
        "ghcr.io",
        needed,
        "site.example",
        "one.example",
        "two.example",
    ] {
        assert!(opens(&policy, host), "{host}");
    }
    let drop_in = registries(r#""two.example", "three.example""#);
    let tightened = policy.tightened("t.json", &drop_in).unwrap();
    for host in ["ghcr.io", needed, "site.example", "two.example"] {
        assert!(opens(&tightened, host), "{host}");
    }
    for host in ["one.example", "three.example", "quay.io"] {
        assert!(!opens(&tightened, host), "{host}");
    }
}

#[test]
fn a_denial_names_the_drop_in_that_it_is_due_to() {
    let tighter = r#"{ "version": 1, "local-images": { "load": "gated", "import": "deny", "commit": "deny" },
        "subjects": { "require-identity": true } }"#;
    let policy = base().tightened("t.json", tighter).unwrap();
    let bob = Subject::User("bob".to_owned());
    let rule = |kind, subject: &Subject| match policy.evaluate_local(kind, subject) {
        LocalDecision::Allow(grant) => grant.rule().to_owned(),
        LocalDecision::Gated(_, denial) | LocalDecision::Deny(denial) => denial.rule(),
    };
    assert_eq!(
        rule(LocalImage::Commit, &bob),
        "t.json: local-images.commit"
    );
    assert_eq!(rule(LocalImage::Load, &bob), "t.json: local-images.load");
    // The policy says so itself.
    assert_eq!(rule(LocalImage::Import, &bob), "local-images.import");
    let nobody = rule(LocalImage::Tag, &Subject::Anonymous);
    assert_eq!(nobody, "t.json: subjects.require-identity");
}

#[test]
fn what_is_folded_goes_the_way_that_the_policy_says() {
    let base = r#"{ "version": 1, "registries": [{ "host": "*.corp.example", "via": "mirror" },
        { "host": "y.corp.example", "via": "direct" }] }"#;
    let drop_in = r#"{ "version": 1, "registries": [{ "host": "x.corp.example", "repositories": ["a/**", "b/**"] },
        { "host": "y.corp.example" }] }"#;
    let mut folded = Folded::read(base).unwrap();
    folded.fold("t.json", drop_in).unwrap();
    let text = serde_json::to_string(&folded.file).unwrap();
    let together = Policy::parse(&text).unwrap();
    let steering = Steering {
        docker_hub_by_mirror: true,
        inspect: false,
    };
    for (host, opens) in [("x.corp.example", false), ("y.corp.example", true)] {
        let decision = together.evaluate_tunnel(&host.parse().unwrap(), 443, &steering);
        assert_eq!(
            matches!(decision, TunnelDecision::Allow(_)),
            opens,
            "{host}: {text}"
        );
    }
}

#[test]
fn of_drop_ins_the_strictest_word_on_local_images_holds_whichever_comes_first() {
    let say = |word: &str| format!(r#"{{ "version": 1, "local-images": {{ "load": "{word}" }} }}"#);
    for words in [["deny", "gated"], ["gated", "deny"], ["deny", "allow"]] {
        let policy = words.iter().fold(base(), |policy, word| {
            policy.tightened("10-test.json", &say(word)).unwrap()
        });
        let judged = policy.evaluate_local(LocalImage::Load, &Subject::Anonymous);
        assert!(matches!(judged, LocalDecision::Deny(_)), "{words:?}");
    }
}
