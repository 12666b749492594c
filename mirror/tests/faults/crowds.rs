//! Many that ask the same at once, and an upstream that is slow to answer.

use std::time::Duration;

use futures_util::future::join_all;

use crate::stage::{MANIFEST, REGISTRY, Stage, digest, manifest};
use crate::upstream::{Request, Step, answer};

const CROWD: usize = 50;
const LATE: Duration = Duration::from_millis(200);

fn late(steps: Vec<Step>) -> Vec<Step> {
    [vec![Step::Wait(LATE)], steps].concat()
}

fn slow(request: &Request) -> Vec<Step> {
    late(manifest(request, MANIFEST))
}

#[tokio::test]
async fn a_crowd_that_asks_for_one_manifest_is_one_request() {
    for tail in [
        "manifests/1".to_owned(),
        format!("manifests/{}", digest(MANIFEST.as_bytes())),
    ] {
        let stage = Stage::new(slow).await;
        let answers = join_all((0..CROWD).map(|_| stage.get(&tail))).await;
        for answer in answers {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.body.as_deref(), Ok(MANIFEST.as_bytes()));
        }
        assert_eq!(stage.upstream.count(), 1, "{tail}");
    }
}

#[tokio::test]
async fn a_crowd_at_an_old_tag_is_one_question_whether_it_moved() {
    let stage = Stage::with(slow, &[], |config, _| config.tag_ttl = Duration::ZERO).await;
    assert_eq!(stage.get("manifests/1").await.status, 200);
    let answers = join_all((0..CROWD).map(|_| stage.get("manifests/1"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let methods: Vec<String> = stage
        .upstream
        .requests()
        .into_iter()
        .map(|request| request.method)
        .collect();
    assert_eq!(methods, ["GET", "HEAD"]);
}

#[tokio::test]
async fn a_crowd_that_asks_for_what_is_not_there_is_one_request_and_all_are_told() {
    let stage = Stage::new(|request| late(answer(request, "404 Not Found", &[], b""))).await;
    for answer in join_all((0..CROWD).map(|_| stage.get("manifests/1"))).await {
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("MANIFEST_UNKNOWN"), "{answer:?}");
    }
    // And those who come later, for a while.
    assert_eq!(stage.get("manifests/1").await.status, 404);
    assert_eq!(stage.upstream.count(), 1);
}

#[tokio::test]
async fn what_one_repository_is_asked_for_is_nothing_that_another_waits_for() {
    let stage = Stage::new(|request| {
        if request.path.contains("/other/") {
            return answer(request, "404 Not Found", &[], b"");
        }
        slow(request)
    })
    .await;
    let other = format!("/v2/acme/other/manifests/1?ns={REGISTRY}");
    let (here, there) = tokio::join!(stage.get("manifests/1"), stage.send("GET", &other, ""));
    assert_eq!((here.status, there.status), (200, 404));
}

#[tokio::test]
async fn a_client_that_leaves_does_not_stop_what_others_wait_for() {
    let stage = Stage::new(slow).await;
    let impatient = tokio::time::timeout(LATE / 4, stage.get("manifests/1")).await;
    assert!(impatient.is_err());
    assert_eq!(stage.get("manifests/1").await.status, 200);
    assert_eq!(stage.upstream.count(), 1);
}
