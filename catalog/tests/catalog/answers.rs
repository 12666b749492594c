//! What becomes of each answer that Docker Hub can give.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use ramgate_catalog::{Catalog, Config};

use crate::hub::{Hub, Odd, config, policy, pull};

const COMMUNITY: &str = "image access denied: community images not allowed: docker.io/";

#[tokio::test]
async fn a_namespace_is_what_its_badge_says() {
    let hub = Hub::default();
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    let policy = policy();
    assert_eq!(
        pull(&catalog, &policy, "grafana/grafana").await,
        "docker-hub.verified-publisher"
    );
    assert_eq!(
        pull(&catalog, &policy, "debezium/server").await,
        "image access denied: sponsored open source images not allowed: docker.io/debezium/server \
         (ramgate: docker-hub.sponsored-open-source is deny)"
    );
    for community in ["acme/app", "torvalds/linux", "nobody/tool"] {
        assert_eq!(
            pull(&catalog, &policy, community).await,
            format!("{COMMUNITY}{community} (ramgate: docker-hub.community is deny)")
        );
    }
    assert_eq!(
        hub.asked(),
        ["grafana", "debezium", "acme", "torvalds", "nobody"]
    );
}

#[tokio::test]
async fn an_answer_that_is_none_counts_as_community_and_says_so() {
    let hub = Hub::default();
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    let elsewhere = vec![("location", "https://login.example/".to_owned())];
    let unreadable = "Docker Hub's answer cannot be read";
    let unreachable = "Docker Hub could not be asked";
    for (namespace, odd, doubt) in [
        ("html", Odd::Body("<html>sign in</html>"), unreadable),
        ("empty", Odd::Body(""), unreadable),
        ("list", Odd::Body("[]"), unreadable),
        (
            "other",
            Odd::Body(r#"{"orgname":"grafana","badge":"verified_publisher"}"#),
            unreadable,
        ),
        (
            "typed",
            Odd::Body(r#"{"orgname":"typed","badge":7}"#),
            unreadable,
        ),
        ("huge", Odd::Huge, unreadable),
        (
            "portal",
            Odd::Status(StatusCode::FOUND, elsewhere),
            unreadable,
        ),
        (
            "broken",
            Odd::Status(StatusCode::BAD_GATEWAY, Vec::new()),
            unreachable,
        ),
        (
            "closed",
            Odd::Status(StatusCode::FORBIDDEN, Vec::new()),
            unreachable,
        ),
    ] {
        hub.answer(namespace, odd);
        let reference = format!("{namespace}/app");
        assert_eq!(
            pull(&catalog, &policy(), &reference).await,
            format!(
                "{COMMUNITY}{reference} (ramgate: docker-hub.community is deny, and whether {namespace} is a verified \
                 publisher or sponsored is not known: {doubt})"
            )
        );
    }
    hub.answer("new", Odd::Badge("gold_publisher"));
    assert_eq!(
        pull(&catalog, &policy(), "new/app").await,
        format!("{COMMUNITY}new/app (ramgate: docker-hub.community is deny)")
    );
}

#[tokio::test]
async fn a_docker_hub_that_is_not_there_is_not_waited_for_twice() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let catalog = Catalog::open(config(closed)).unwrap();
    for _ in 0..2 {
        let text = pull(&catalog, &policy(), "grafana/grafana").await;
        assert!(text.contains("Docker Hub could not be asked"), "{text}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_only_so_long_and_not_lost() {
    let hub = Hub::default();
    hub.answer("slow", Odd::Slow(Duration::from_secs(3)));
    let catalog = Catalog::open(Config {
        patience: Duration::from_millis(100),
        ..config(hub.start().await)
    })
    .unwrap();
    let started = Instant::now();
    let mut text = pull(&catalog, &policy(), "slow/app").await;
    assert!(
        started.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        started.elapsed()
    );
    assert!(text.contains("has not answered in time"), "{text}");
    while started.elapsed() < Duration::from_secs(15) && text != "docker-hub.verified-publisher" {
        tokio::time::sleep(Duration::from_millis(100)).await;
        text = pull(&catalog, &policy(), "slow/app").await;
    }
    assert_eq!(text, "docker-hub.verified-publisher");
    assert_eq!(hub.asked(), ["slow"]);
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "`X-Retry-After` is a time of day"
)]
async fn while_docker_hub_limits_the_rate_it_is_left_alone() {
    let hub = Hub::default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let until = vec![("x-retry-after", (now + 2).to_string())];
    hub.answer("limited", Odd::Status(StatusCode::TOO_MANY_REQUESTS, until));
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    for reference in ["limited/app", "grafana/grafana", "debezium/server"] {
        let text = pull(&catalog, &policy(), reference).await;
        assert!(
            text.contains("Docker Hub limits the rate of questions"),
            "{text}"
        );
    }
    assert_eq!(hub.asked(), ["limited"]);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(
        pull(&catalog, &policy(), "grafana/grafana").await,
        "docker-hub.verified-publisher"
    );
}

#[tokio::test]
async fn retry_after_in_seconds_is_kept_as_well() {
    let hub = Hub::default();
    let after = vec![("retry-after", "600".to_owned())];
    hub.answer("limited", Odd::Status(StatusCode::TOO_MANY_REQUESTS, after));
    let catalog = Catalog::open(config(hub.start().await)).unwrap();
    pull(&catalog, &policy(), "limited/app").await;
    pull(&catalog, &policy(), "grafana/grafana").await;
    assert_eq!(hub.asked(), ["limited"]);
}

#[tokio::test]
async fn many_namespaces_are_not_waited_for_one_after_the_other_when_docker_hub_hangs() {
    let hub = Hub::default();
    let catalog = Catalog::open(Config {
        patience: Duration::from_secs(2),
        ..config(hub.start().await)
    })
    .unwrap();
    let started = Instant::now();
    for namespace in ["a1", "b2", "c3", "d4", "e5", "f6"] {
        hub.answer(namespace, Odd::Slow(Duration::from_secs(60)));
        let text = pull(&catalog, &policy(), &format!("{namespace}/app")).await;
        assert!(text.contains("has not answered in time"), "{text}");
    }
    // One after the other it would be twelve seconds.
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
}
