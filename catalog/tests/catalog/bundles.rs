//! Entries carried to where Docker Hub cannot be reached.

use std::time::Duration;

use ramgate_catalog::{Bundle, Catalog, Config, SigningKey};

use crate::hub::{Hub, Odd, config, policy, pull};

#[tokio::test]
async fn a_site_without_docker_hub_knows_what_a_bundle_says() {
    let hub = Hub::default();
    let outside = Catalog::open(config(hub.start().await)).unwrap();
    pull(&outside, &policy(), "grafana/grafana").await;
    pull(&outside, &policy(), "acme/app").await;
    let key = SigningKey::generate().unwrap();
    let bundle = outside.export(Duration::from_hours(24)).unwrap();
    let bytes = bundle.sign(&key).unwrap();

    let inside = Catalog::open(Config::default()).unwrap();
    let text = pull(&inside, &policy(), "grafana/grafana").await;
    assert!(text.contains("Docker Hub was not asked"), "{text}");
    let carried = Bundle::verify(&bytes, &[key.public()]).unwrap();
    let summary = inside.import(&carried).unwrap();
    assert_eq!((summary.taken, summary.left), (2, 0));
    assert_eq!(
        pull(&inside, &policy(), "grafana/grafana").await,
        "docker-hub.verified-publisher"
    );
    let text = pull(&inside, &policy(), "acme/app").await;
    assert!(text.contains("docker-hub.community is deny)"), "{text}");
    let shown = inside.show("grafana").await.unwrap();
    assert_eq!(shown.entry.unwrap().source, ramgate_catalog::Source::Bundle);
}

#[tokio::test]
async fn an_older_bundle_does_not_bring_back_what_was_withdrawn() {
    let hub = Hub::default();
    let address = hub.start().await;
    let catalog = Catalog::open(config(address)).unwrap();
    pull(&catalog, &policy(), "grafana/grafana").await;
    let old = catalog.export(Duration::from_hours(24)).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    hub.answer("grafana", Odd::Badge(""));
    let refreshed = catalog.refresh(&[]).await.unwrap();
    assert_eq!((refreshed.taken, refreshed.left), (1, 0));
    let summary = catalog.import(&old).unwrap();
    assert_eq!((summary.taken, summary.left), (0, 1));
    let text = pull(&catalog, &policy(), "grafana/grafana").await;
    assert!(text.contains("docker-hub.community is deny)"), "{text}");
}

#[tokio::test]
async fn a_bundle_that_is_over_is_refused() {
    let hub = Hub::default();
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    pull(&catalog, &policy(), "grafana/grafana").await;
    let bundle = catalog.export(Duration::ZERO).unwrap();
    let error = catalog.import(&bundle).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bundle has expired; get one that was exported later"
    );
}
