//! Docker Hub is asked only where the decision turns on its answer.

use ramgate_catalog::Catalog;
use ramgate_policy::{Action, Policy, Request, Subject};

use crate::hub::{Hub, config, policy, pull};

#[tokio::test]
async fn what_is_decided_without_it_asks_nobody() {
    let hub = Hub::default();
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    for reference in ["alpine", "own/app", "listed/app", "ghcr.io/grafana/grafana"] {
        pull(&catalog, &policy(), reference).await;
    }
    let (official_only, open) = (
        r#"{ "version": 1, "docker-hub": { "official": "allow" } }"#,
        r#"{ "version": 1, "docker-hub": { "official": "deny", "community": "allow",
             "verified-publisher": "allow", "sponsored-open-source": "allow" } }"#,
    );
    for text in [official_only, open, r#"{ "version": 1 }"#] {
        pull(&catalog, &Policy::parse(text).unwrap(), "grafana/grafana").await;
    }
    let unlisted =
        r#"{ "version": 1, "registries": [], "docker-hub": { "verified-publisher": "allow" } }"#;
    pull(
        &catalog,
        &Policy::parse(unlisted).unwrap(),
        "grafana/grafana",
    )
    .await;
    let repository = "grafana/grafana".parse().unwrap();
    let _ = catalog
        .evaluate(
            &policy(),
            &Request {
                repository: &repository,
                action: Action::Push,
                subject: &Subject::Daemon,
            },
        )
        .await;
    assert_eq!(hub.asked(), [""; 0]);
}

#[tokio::test]
async fn a_copy_under_another_name_is_judged_by_its_origin() {
    let hub = Hub::default();
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    assert_eq!(
        pull(&catalog, &policy(), "mirror.gcr.io/grafana/grafana").await,
        "docker-hub.verified-publisher"
    );
    let denied = pull(&catalog, &policy(), "mirror.gcr.io/acme/app").await;
    assert!(
        denied.contains("community images not allowed: docker.io/acme/app"),
        "{denied}"
    );
    assert_eq!(hub.asked(), ["grafana", "acme"]);
}

#[tokio::test]
async fn a_team_that_may_use_community_images_is_still_denied_what_the_policy_denies_by_name() {
    let hub = Hub::default();
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    let policy = Policy::parse(
        r#"{ "version": 1, "docker-hub": { "sponsored-open-source": "deny" },
             "subjects": { "teams": { "ci": { "members": ["ci-*"], "docker-hub": { "community": "allow" } } } } }"#,
    )
    .unwrap();
    let subject = Subject::User("ci-1".to_owned());
    for (reference, allowed) in [("acme/app", true), ("debezium/server", false)] {
        let repository = reference.parse().unwrap();
        let request = Request {
            repository: &repository,
            action: Action::Pull,
            subject: &subject,
        };
        let decision = catalog.evaluate(&policy, &request).await;
        assert_eq!(
            matches!(decision, ramgate_policy::Decision::Allow(_)),
            allowed,
            "{reference}"
        );
    }
}

#[tokio::test]
async fn without_a_catalogue_nothing_is_known() {
    let text = pull(&Catalog::none(), &policy(), "grafana/grafana").await;
    assert!(text.contains("Docker Hub was not asked"), "{text}");
}
