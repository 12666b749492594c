//! Upstreams that are down, and what is not there.

use std::time::{Duration, Instant};

use crate::stage::{MANIFEST, REGISTRY, Stage, digest, manifest};
use crate::upstream::{Request, Step, Upstream, answer};

fn absent(request: &Request) -> Vec<Step> {
    answer(request, "404 Not Found", &[], b"{}")
}

#[tokio::test]
async fn an_upstream_that_is_down_makes_no_client_wait_after_the_first() {
    let stage = Stage::with(
        |request| manifest(request, MANIFEST),
        &[],
        |config, address| {
            // It waits for a request where TLS waits for an answer: the connection neither comes about nor is refused.
            let silent = format!("https://{address}").parse().unwrap();
            let registry = REGISTRY.parse().unwrap();
            config.upstreams.get_mut(&registry).unwrap().url = silent;
            config.timeouts.connect = Duration::from_millis(500);
        },
    )
    .await;
    for _ in 0..2 {
        assert_eq!(stage.get("manifests/1").await.status, 502);
    }
    let started = Instant::now();
    for number in 0..20 {
        let answer = stage.get(&format!("manifests/{number}")).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
    stage.logged("is left alone for a while");
}

#[tokio::test]
async fn during_an_outage_what_is_cached_is_served_and_marked() {
    let mut stage = Stage::with(
        |request| manifest(request, MANIFEST),
        &[],
        |config, _| config.tag_ttl = Duration::ZERO,
    )
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 200);
    for status in [
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ] {
        stage
            .upstream
            .now(move |request| answer(request, status, &[], b""));
        let answer = stage.get("manifests/1").await;
        assert_eq!(
            (answer.status, answer.header("warning").is_some()),
            (200, true)
        );
    }
    stage.upstream.stop().await;
    for _ in 0..5 {
        let answer = stage.get("manifests/1").await;
        assert_eq!(
            (answer.status, answer.header("warning").is_some()),
            (200, true)
        );
    }
    stage.logged("cache=\"stale\"");
}

#[tokio::test]
async fn a_refusal_is_no_outage() {
    let stage = Stage::with(
        |request| manifest(request, MANIFEST),
        &[],
        |config, _| config.tag_ttl = Duration::ZERO,
    )
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 200);
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        stage
            .upstream
            .now(move |request| answer(request, status, &[], b""));
        assert!(stage.get("manifests/1").await.status >= 400, "{status}");
    }
}

#[tokio::test]
async fn what_is_cached_stands_in_for_so_long_and_no_longer() {
    let stage = Stage::with(
        |request| manifest(request, MANIFEST),
        &[],
        |config, _| {
            config.tag_ttl = Duration::ZERO;
            config.stale_if_error = Duration::ZERO;
        },
    )
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 200);
    stage
        .upstream
        .now(|request| answer(request, "503 Service Unavailable", &[], b""));
    assert_eq!(stage.get("manifests/1").await.status, 502);
}

#[tokio::test]
async fn what_is_absent_is_asked_for_once_in_a_while() {
    let stage = Stage::with(absent, &[], |config, _| {
        config.absent_ttl = Duration::from_millis(300);
    })
    .await;
    for _ in 0..10 {
        let answer = stage.get("manifests/1").await;
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("MANIFEST_UNKNOWN"));
    }
    assert_eq!(stage.upstream.count(), 1);
    let other = format!("/v2/acme/other/manifests/1?ns={REGISTRY}");
    assert_eq!(stage.send("GET", &other, "").await.status, 404);
    assert_eq!(stage.upstream.count(), 2);
    tokio::time::sleep(Duration::from_millis(350)).await;
    stage.upstream.now(|request| manifest(request, MANIFEST));
    assert_eq!(stage.get("manifests/1").await.status, 200);
}

#[tokio::test]
async fn what_is_pushed_is_there_as_soon_as_it_is_pulled_by_digest() {
    let stage = Stage::with(absent, &[], |config, _| {
        config.absent_ttl = Duration::from_hours(1);
    })
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 404);
    stage.upstream.now(|request| manifest(request, MANIFEST));
    assert_eq!(stage.get("manifests/1").await.status, 404);
    let by_digest = format!("manifests/{}", digest(MANIFEST.as_bytes()));
    assert_eq!(stage.get(&by_digest).await.status, 200);
    assert_eq!(stage.get("manifests/1").await.status, 200);
}

#[tokio::test]
async fn only_that_something_is_not_there_is_remembered() {
    for status in [
        "401 Unauthorized",
        "403 Forbidden",
        "500 Internal Server Error",
        "418 Teapot",
    ] {
        let stage = Stage::with(
            move |request| answer(request, status, &[], b""),
            &[],
            |config, _| config.absent_ttl = Duration::from_hours(1),
        )
        .await;
        assert!(stage.get("manifests/1").await.status >= 400);
        stage.upstream.now(|request| manifest(request, MANIFEST));
        assert_eq!(stage.get("manifests/1").await.status, 200, "{status}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_back_is_asked_again() {
    let mut stage = Stage::new(|request| manifest(request, MANIFEST)).await;
    let address = stage.upstream.address;
    stage.upstream.stop().await;
    for _ in 0..3 {
        assert_eq!(stage.get("manifests/1").await.status, 502);
    }
    stage.upstream = Upstream::at(address, |request| manifest(request, MANIFEST)).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(stage.get("manifests/1").await.status, 200);
}
