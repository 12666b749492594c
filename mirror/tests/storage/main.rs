//! Blobs through a whole mirror: one fetch for all, parts, and upstreams that break off or send something else.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod gate;
mod origin;

use std::time::{Duration, Instant};

use gate::Gate;
use origin::{Manner, Origin, digest, noise};

const REPOSITORY: &str = "library/app";
/// Five pieces of what a stream reads at once, and a bit.
const LENGTH: usize = 2_700_001;

async fn place() -> (Origin, Gate, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::start().await;
    let gate = Gate::start(&origin, directory.path()).await;
    (origin, gate, directory)
}

fn slowly() -> Manner {
    Manner {
        pause: Duration::from_millis(10),
        ..Manner::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_are_one_fetch() {
    let (origin, gate, _directory) = place().await;
    let blob = noise(1, LENGTH);
    let digest = origin.put(REPOSITORY, &blob);
    origin.behave(slowly());
    let pulls = (0..50).map(|_| gate.pull(REPOSITORY, &digest));
    for pulled in futures_util::future::join_all(pulls).await {
        assert!(pulled.as_ref() == Some(&blob));
    }
    assert_eq!(origin.requests(), ["GET library/app"]);
    assert_eq!(origin.sent(), LENGTH as u64);
    gate.kept().await;
    assert!(gate.pull(REPOSITORY, &digest).await.unwrap() == blob);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_does_not_stop_it_and_one_that_stalls_slows_nobody() {
    let (origin, gate, _directory) = place().await;
    // More than sockets take in by themselves.
    let blob = noise(2, 24 * 1024 * 1024);
    let digest = origin.put(REPOSITORY, &blob);
    let stalled = gate.ask(REPOSITORY, &digest).await;
    drop(gate.ask(REPOSITORY, &digest).await);
    assert!(gate.pull(REPOSITORY, &digest).await.unwrap() == blob);
    gate.kept().await;
    assert_eq!(origin.requests(), ["GET library/app"]);
    assert!(stalled.bytes().await.unwrap() == blob);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_breaks_off_is_resumed() {
    for ranges in [true, false] {
        let (origin, gate, _directory) = place().await;
        let blob = noise(3, LENGTH);
        let digest = origin.put(REPOSITORY, &blob);
        origin.behave(Manner {
            break_after: vec![1_000_000, 0, 300_000],
            ranges,
            ..Manner::default()
        });
        assert!(
            gate.pull(REPOSITORY, &digest).await.unwrap() == blob,
            "ranges: {ranges}"
        );
        let requests = origin.requests();
        assert_eq!(requests[0], "GET library/app");
        assert_eq!(requests[1..], ["GET library/app rest"; 3]);
        if ranges {
            // What was on its way when it broke off is lost, and no more.
            assert!(
                origin.sent() < LENGTH as u64 + 3 * 256 * 1024,
                "{}",
                origin.sent()
            );
        }
        gate.kept().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_always_breaks_off_is_given_up_and_nothing_is_kept() {
    let (origin, gate, _directory) = place().await;
    let digest = origin.put(REPOSITORY, &noise(4, LENGTH));
    origin.behave(Manner {
        always_breaks: true,
        ..Manner::default()
    });
    assert_eq!(gate.pull(REPOSITORY, &digest).await, None);
    gate.settled().await;
    assert!(gate.files("blobs").is_empty());
    assert!(origin.requests().len() < 20, "{:?}", origin.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_wrong_blob_nobody_gets_the_last_byte_and_nothing_is_kept() {
    let (origin, gate, _directory) = place().await;
    let blob = noise(5, LENGTH);
    let digest = origin.put(REPOSITORY, &blob);
    origin.behave(Manner {
        corrupt: true,
        ..slowly()
    });
    let whole = (0..5).map(|_| gate.pull(REPOSITORY, &digest));
    let parts = ["bytes=0-9", "bytes=1000-1999", "bytes=-5"];
    let parts =
        parts.map(|range| async { gate.part(REPOSITORY, &digest, range).await.bytes().await });
    let (whole, parts) = tokio::join!(
        futures_util::future::join_all(whole),
        futures_util::future::join_all(parts)
    );
    assert!(whole.iter().all(Option::is_none));
    // Not even the parts that would have been right: what they belong to is not known to be.
    assert!(parts.iter().all(Result::is_err));
    gate.settled().await;
    assert!(gate.files("blobs").is_empty());
    // And it is well again as soon as the upstream is.
    origin.behave(Manner::default());
    assert!(gate.pull(REPOSITORY, &digest).await.unwrap() == blob);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_served_from_the_store_and_from_what_arrives() {
    let (origin, gate, _directory) = place().await;
    let blob = noise(6, LENGTH);
    let digest = origin.put(REPOSITORY, &blob);
    origin.behave(slowly());
    for _ in 0..2 {
        for (range, from, to) in [
            ("bytes=0-0", 0, 1),
            ("bytes=100-70000", 100, 70_001),
            ("bytes=2700000-", 2_700_000, LENGTH),
            ("bytes=-1000000", LENGTH - 1_000_000, LENGTH),
        ] {
            let response = gate.part(REPOSITORY, &digest, range).await;
            assert_eq!(response.status(), 206, "{range}");
            let headers = response.headers();
            assert_eq!(
                headers["content-range"],
                format!("bytes {from}-{}/{LENGTH}", to - 1).as_str()
            );
            assert_eq!(headers["docker-content-digest"], digest.as_str());
            assert!(response.bytes().await.unwrap() == blob[from..to], "{range}");
        }
        let response = gate.part(REPOSITORY, &digest, "bytes=2700001-").await;
        assert_eq!(response.status(), 416);
        assert_eq!(
            response.headers()["content-range"],
            format!("bytes */{LENGTH}").as_str()
        );
        let response = gate.part(REPOSITORY, &digest, "bytes=0-1,5-6").await;
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["accept-ranges"].to_str().unwrap()
            ),
            (200, "bytes")
        );
        assert!(response.bytes().await.unwrap() == blob);
        gate.kept().await;
    }
    let head = gate
        .client
        .head(gate.url(REPOSITORY, &digest))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            head.status().as_u16(),
            head.headers()["content-length"].to_str().unwrap()
        ),
        (200, "2700001")
    );
    assert_eq!(origin.requests(), ["GET library/app"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_boards_for_a_repository_that_is_not_known_to_have_it() {
    let (origin, gate, _directory) = place().await;
    let blob = noise(7, LENGTH);
    let digest = origin.put(REPOSITORY, &blob);
    origin.put("library/twin", &blob);
    origin.behave(slowly());
    let (first, twin, stranger, parts) = tokio::join!(
        gate.pull(REPOSITORY, &digest),
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            gate.pull("library/twin", &digest).await
        },
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            gate.ask("library/stranger", &digest).await.status()
        },
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            gate.part("library/stranger", &digest, "bytes=0-9")
                .await
                .status()
        },
    );
    assert!(first.unwrap() == blob && twin.unwrap() == blob);
    assert_eq!((stranger.as_u16(), parts.as_u16()), (404, 404));
    let requests = origin.requests();
    let gets: Vec<_> = requests
        .iter()
        .filter(|request| request.starts_with("GET"))
        .collect();
    assert_eq!(gets, ["GET library/app"]);
    assert!(requests.contains(&"HEAD library/twin".to_owned()));
    gate.kept().await;
    // Nor once it is kept.
    assert_eq!(gate.ask("library/stranger", &digest).await.status(), 404);
    assert!(gate.pull("library/twin", &digest).await.unwrap() == blob);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_that_another_registry_refuses_does_not_keep_it_from_those_who_have_it() {
    let (origin, gate, _directory) = place().await;
    let blob = noise(8, 100_000);
    let digest = origin.put(REPOSITORY, &blob);
    let asks = (0..20).map(|number| {
        let repository = if number % 2 == 0 {
            "library/stranger"
        } else {
            REPOSITORY
        };
        gate.ask(repository, &digest)
    });
    for (number, response) in futures_util::future::join_all(asks)
        .await
        .into_iter()
        .enumerate()
    {
        let expected = if number % 2 == 0 { 404 } else { 200 };
        assert_eq!(response.status().as_u16(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_blob_is_served_and_one_that_should_not_be_empty_is_not() {
    let (origin, gate, _directory) = place().await;
    let empty = origin.put(REPOSITORY, b"");
    for _ in 0..2 {
        assert_eq!(gate.pull(REPOSITORY, &empty).await.unwrap(), b"");
        gate.kept().await;
    }
    let wrong = digest(b"not empty");
    origin.put_as(REPOSITORY, &wrong, b"");
    assert_eq!(gate.ask(REPOSITORY, &wrong).await.status(), 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_nothing_in_keeps_nobody_from_pulling() {
    let (origin, gate, directory) = place().await;
    let blob = noise(9, LENGTH);
    let digest = origin.put(REPOSITORY, &blob);
    std::fs::remove_dir_all(directory.path().join("incoming")).unwrap();
    std::fs::write(directory.path().join("incoming"), b"no folder").unwrap();
    for _ in 0..2 {
        assert!(gate.pull(REPOSITORY, &digest).await.unwrap() == blob);
        let part = gate.part(REPOSITORY, &digest, "bytes=100-199999").await;
        assert!(part.bytes().await.unwrap() == blob[100..200_000]);
    }
    // Not a wrong one, either.
    origin.behave(Manner {
        corrupt: true,
        ..Manner::default()
    });
    assert_eq!(gate.pull(REPOSITORY, &digest).await, None);
    assert!(
        gate.part(REPOSITORY, &digest, "bytes=100-199")
            .await
            .bytes()
            .await
            .is_err()
    );
    assert!(gate.files("blobs").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bytes_come_before_the_last_ones_have_arrived() {
    let (origin, gate, _directory) = place().await;
    let digest = origin.put(REPOSITORY, &noise(10, LENGTH));
    origin.behave(Manner {
        pause: Duration::from_millis(50),
        ..Manner::default()
    });
    let begun = Instant::now();
    let mut response = gate.ask(REPOSITORY, &digest).await;
    assert!(response.chunk().await.unwrap().is_some());
    // All of it takes two seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}
