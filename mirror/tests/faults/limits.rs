//! Rate limits: told, kept to, and no reason to let clients down.

use std::time::Duration;

use crate::stage::{MANIFEST, REGISTRY, Stage, digest, manifest};
use crate::upstream::{Request, Step, answer};

fn limited(request: &Request) -> Vec<Step> {
    let headers = [
        ("Retry-After", "60"),
        ("ratelimit-limit", "100;w=21600"),
        ("ratelimit-remaining", "0;w=21600"),
    ];
    answer(request, "429 Too Many Requests", &headers, b"slow down")
}

const TAGS: &[u8] = b"{\"name\":\"acme/app\",\"tags\":[\"1\"]}";

fn good(request: &Request) -> Vec<Step> {
    if request.is_manifest() {
        manifest(request, MANIFEST)
    } else {
        answer(
            request,
            "200 OK",
            &[("Content-Type", "application/json")],
            TAGS,
        )
    }
}

#[tokio::test]
async fn a_storm_of_429_reaches_the_upstream_once() {
    let stage = Stage::new(limited).await;
    for number in 0..50 {
        let answer = stage.get(&format!("manifests/{number}")).await;
        assert_eq!(answer.status, 429);
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((58..=60).contains(&wait), "{wait}");
        assert!(answer.text().contains("TOOMANYREQUESTS"));
    }
    assert_eq!(stage.upstream.count(), 1);
    stage.logged("upstream limits the rate, and is left alone");
    let rate = stage.mirror.rates()[&REGISTRY.parse().unwrap()];
    assert_eq!(
        (rate.limit, rate.remaining, rate.window),
        (100, 0, Some(Duration::from_hours(6)))
    );
    let mut registry = prometheus_client::registry::Registry::default();
    stage.mirror.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "ramgate_mirror_rate_limit{registry=\"registry.example\"} 100",
        "ramgate_mirror_rate_limit_remaining{registry=\"registry.example\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
}

#[tokio::test]
async fn what_is_cached_is_served_on_429_and_marked() {
    let stage = Stage::with(good, &[], |config, _| config.tag_ttl = Duration::ZERO).await;
    let by_digest = format!("manifests/{}", digest(MANIFEST.as_bytes()));
    for tail in ["manifests/1", "tags/list", &by_digest] {
        let answer = stage.get(tail).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("warning"), None);
    }
    stage.upstream.now(limited);
    let before = stage.upstream.count();
    for _ in 0..10 {
        for (tail, body) in [("manifests/1", MANIFEST.as_bytes()), ("tags/list", TAGS)] {
            let answer = stage.get(tail).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(
                answer.header("warning"),
                Some("110 - \"response is stale\"")
            );
            assert_eq!(answer.body.as_deref(), Ok(body));
        }
        // What a digest names does not grow stale.
        let answer = stage.get(&by_digest).await;
        assert_eq!((answer.status, answer.header("warning")), (200, None));
    }
    assert_eq!(stage.upstream.count(), before + 1);
    stage.logged("serving what is cached");
    stage.logged("cache=\"stale\"");
}

#[tokio::test]
async fn after_the_time_it_said_the_upstream_is_asked_again() {
    let stage = Stage::new(|request| {
        answer(
            request,
            "429 Too Many Requests",
            &[("Retry-After", "1")],
            b"",
        )
    })
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 429);
    stage.upstream.now(good);
    assert_eq!(stage.get("manifests/1").await.status, 429);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(stage.get("manifests/1").await.status, 200);
}

#[tokio::test]
async fn a_retry_after_that_is_nonsense_neither_storms_nor_stops_for_ever() {
    for value in [
        "-1",
        "99999999999999999999",
        "soon",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "0",
    ] {
        let stage = Stage::new(move |request| {
            answer(
                request,
                "429 Too Many Requests",
                &[("Retry-After", value)],
                b"",
            )
        })
        .await;
        for _ in 0..3 {
            let answer = stage.get("manifests/1").await;
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=3_600).contains(&wait), "{value}: {wait}");
        }
        assert_eq!(stage.upstream.count(), 1, "{value}");
    }
}

#[tokio::test]
async fn a_token_service_that_limits_the_rate_is_left_alone_too() {
    let stage = Stage::new(|_| Vec::new()).await;
    let own = format!("Bearer realm=\"http://{}/token\"", stage.upstream.address);
    stage.upstream.now(move |request| {
        if request.path.starts_with("/token") {
            return limited(request);
        }
        answer(
            request,
            "401 Unauthorized",
            &[("WWW-Authenticate", &own)],
            b"",
        )
    });
    for _ in 0..5 {
        assert_eq!(stage.get("manifests/1").await.status, 429);
    }
    assert_eq!(stage.upstream.count(), 2);
}

#[tokio::test]
async fn whether_a_tag_moved_is_asked_by_head_which_costs_no_pull() {
    let stage = Stage::with(good, &[], |config, _| config.tag_ttl = Duration::ZERO).await;
    for _ in 0..3 {
        assert_eq!(stage.get("manifests/1").await.status, 200);
    }
    let methods: Vec<String> = stage
        .upstream
        .requests()
        .into_iter()
        .map(|request| request.method)
        .collect();
    assert_eq!(methods, ["GET", "HEAD", "HEAD"]);
}
