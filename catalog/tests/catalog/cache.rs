//! How often Docker Hub is asked, and how long its answers last.

use std::time::Duration;

use ramgate_catalog::{Catalog, CatalogError, Config};

use crate::hub::{Hub, Odd, config, policy, pull};

#[tokio::test]
async fn any_number_of_waiters_make_one_request() {
    let hub = Hub::default();
    hub.answer("slow", Odd::Slow(Duration::from_millis(200)));
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    let waiters: Vec<_> = (0..100)
        .map(|_| {
            let catalog = catalog.clone();
            tokio::spawn(async move { pull(&catalog, &policy(), "slow/app").await })
        })
        .collect();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), "docker-hub.verified-publisher");
    }
    assert_eq!(hub.asked(), ["slow"]);
}

#[tokio::test]
async fn what_is_known_outlives_the_process() {
    let hub = Hub::default();
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        path: Some(folder.path().join("catalog.redb")),
        ..config(hub.start().await)
    };
    for _ in 0..2 {
        let catalog = Catalog::open(config.clone()).unwrap();
        assert!(matches!(
            Catalog::open(config.clone()),
            Err(CatalogError::InUse)
        ));
        for _ in 0..3 {
            assert_eq!(
                pull(&catalog, &policy(), "grafana/grafana").await,
                "docker-hub.verified-publisher"
            );
            // That there is none is known as well.
            assert!(
                pull(&catalog, &policy(), "nobody/tool")
                    .await
                    .contains("community is deny)")
            );
        }
    }
    assert_eq!(hub.asked(), ["grafana", "nobody"]);
}

#[tokio::test]
async fn a_damaged_file_is_begun_anew() {
    let hub = Hub::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.redb");
    std::fs::write(&path, "no catalogue").unwrap();
    let catalog = Catalog::open(Config {
        path: Some(path),
        ..config(hub.start().await)
    })
    .unwrap();
    assert_eq!(
        pull(&catalog, &policy(), "grafana/grafana").await,
        "docker-hub.verified-publisher"
    );
}

#[tokio::test]
async fn an_expired_entry_is_used_while_docker_hub_is_asked_behind_it() {
    let hub = Hub::default();
    let catalog = Catalog::open(Config {
        ttl: Duration::ZERO,
        stale: Duration::from_hours(1),
        ..config(hub.start().await)
    })
    .unwrap();
    let allowed = "docker-hub.verified-publisher";
    assert_eq!(pull(&catalog, &policy(), "grafana/grafana").await, allowed);
    hub.answer("grafana", Odd::Badge(""));
    // The last answer that is at hand, and a question behind it.
    assert_eq!(pull(&catalog, &policy(), "grafana/grafana").await, allowed);
    let mut text = String::new();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        text = pull(&catalog, &policy(), "grafana/grafana").await;
        if text != allowed {
            break;
        }
    }
    assert!(text.contains("docker-hub.community is deny)"), "{text}");
    assert_eq!(hub.asked(), ["grafana", "grafana"]);
}

#[tokio::test]
async fn beyond_that_an_expired_entry_counts_for_nothing() {
    let hub = Hub::default();
    let catalog = Catalog::open(Config {
        ttl: Duration::ZERO,
        stale: Duration::ZERO,
        ..config(hub.start().await)
    })
    .unwrap();
    pull(&catalog, &policy(), "grafana/grafana").await;
    hub.answer(
        "grafana",
        Odd::Status(axum::http::StatusCode::BAD_GATEWAY, Vec::new()),
    );
    let text = pull(&catalog, &policy(), "grafana/grafana").await;
    assert!(text.contains("Docker Hub could not be asked"), "{text}");
}
