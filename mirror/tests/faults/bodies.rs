//! Bodies that are wrong, too short, too long, too slow or never end.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::stage::{MANIFEST, OCI, Stage, digest, manifest};
use crate::upstream::{Request, Step, answer, head, raw};

const BLOB: &[u8] = b"a layer as it should be, long enough to come in more than one piece";

fn blob() -> String {
    format!("blobs/{}", digest(BLOB))
}

/// The head of an answer of 200 with a length, then `steps`.
fn with_length(length: usize, steps: Vec<Step>) -> Vec<Step> {
    let mut head = head("200 OK", &[("Content-Type", "application/octet-stream")]);
    head.extend(format!("Content-Length: {length}\r\n\r\n").into_bytes());
    let mut all = vec![Step::Send(head)];
    all.extend(steps);
    all
}

/// That a client does not get the blob whole, whatever the upstream does; that nothing is kept; and that once the upstream is
/// good again, the blob is.
async fn check(bad: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Stage {
    let stage = Stage::new(bad).await;
    let answer = stage.get(&blob()).await;
    let whole = answer.status == 200 && answer.body.is_ok();
    assert!(!whole, "{answer:?}");
    stage.logged("upstream failed");
    stage.nothing_is_left().await;
    stage.upstream.now(good);
    let answer = stage.get(&blob()).await;
    assert_eq!((answer.status, answer.body), (200, Ok(BLOB.to_vec())));
    stage.keeps_one().await;
    stage
}

/// A registry as it should be, which can resume as well.
fn good(request: &Request) -> Vec<Step> {
    let range = request.headers.get("range");
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    match from.map(|from| from.parse::<usize>().unwrap()) {
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", BLOB.len() - 1, BLOB.len());
            let headers = [("Content-Range", range.as_str())];
            answer(request, "206 Partial Content", &headers, &BLOB[from..])
        }
        None => answer(request, "200 OK", &[], BLOB),
    }
}

#[tokio::test]
async fn a_blob_of_another_digest_is_never_whole() {
    let mut wrong = BLOB.to_vec();
    wrong[0] ^= 1;
    check(move |request| answer(request, "200 OK", &[], &wrong)).await;
}

#[tokio::test]
async fn a_blob_that_is_truncated_is_never_whole() {
    check(|_| {
        with_length(
            BLOB.len() - 5,
            vec![Step::Send(BLOB[..BLOB.len() - 5].to_vec()), Step::HangUp],
        )
    })
    .await;
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_never_whole() {
    check(|_| {
        with_length(
            BLOB.len(),
            vec![
                Step::Send(BLOB[..20].to_vec()),
                Step::Wait(Duration::from_millis(50)),
                Step::HangUp,
            ],
        )
    })
    .await;
}

#[tokio::test]
async fn a_blob_that_is_longer_than_its_digest_is_never_whole() {
    let long = [BLOB, b" and more"].concat();
    check(move |request| answer(request, "200 OK", &[], &long)).await;
}

#[tokio::test]
async fn a_length_that_says_too_little_gives_no_part_of_a_blob() {
    check(|_| with_length(10, vec![Step::Send(BLOB.to_vec()), Step::HangUp])).await;
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_blob_is_not_taken_for_its_end() {
    check(|_| {
        let error = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_vec();
        with_length(
            BLOB.len(),
            vec![
                Step::Send(BLOB[..20].to_vec()),
                Step::Send(error),
                Step::HangUp,
            ],
        )
    })
    .await;
}

#[tokio::test]
async fn a_blob_in_chunks_without_a_length_is_refused_before_it_begins() {
    check(|_| {
        let mut all = head("200 OK", &[("Transfer-Encoding", "chunked")]);
        all.extend(format!("\r\n{:x}\r\n", BLOB.len()).into_bytes());
        all.extend_from_slice(BLOB);
        all.extend_from_slice(b"\r\n0\r\n\r\n");
        raw(all)
    })
    .await;
}

#[tokio::test]
async fn two_lengths_that_differ_are_none() {
    check(|_| {
        let mut all = head("200 OK", &[("Content-Length", "10")]);
        all.extend(format!("Content-Length: {}\r\n\r\n", BLOB.len()).into_bytes());
        all.extend_from_slice(BLOB);
        raw(all)
    })
    .await;
}

#[tokio::test]
async fn a_blob_that_stops_coming_is_given_up() {
    let started = Instant::now();
    check(|_| {
        with_length(
            BLOB.len(),
            vec![
                Step::Send(BLOB[..20].to_vec()),
                Step::Wait(Duration::from_mins(1)),
            ],
        )
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_blob_that_drips_is_given_up() {
    let started = Instant::now();
    let stage = check(|_| {
        let drip = Step::Drip(b"x".to_vec(), Duration::from_millis(50));
        with_length(1 << 40, vec![drip])
    })
    .await;
    // Twice the time for the whole, for each of six times that the rest is asked for.
    assert!(started.elapsed() < Duration::from_secs(60));
    stage.logged("upstream failed");
}

#[tokio::test]
async fn what_came_fast_before_is_no_licence_to_drip() {
    let started = Instant::now();
    check(|_| {
        let burst = Step::Send(vec![b'x'; 100_000]);
        let drip = Step::Drip(b"x".to_vec(), Duration::from_millis(50));
        with_length(1 << 40, vec![burst, drip])
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_manifest_that_never_ends_costs_no_more_than_its_limit() {
    let stage = Stage::new(|_| {
        let head = [
            head(
                "200 OK",
                &[("Content-Type", OCI), ("Transfer-Encoding", "chunked")],
            ),
            b"\r\n".to_vec(),
        ]
        .concat();
        let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
        vec![Step::Send(head), Step::Drip(chunk, Duration::ZERO)]
    })
    .await;
    let answer = stage.get("manifests/1").await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("larger than 4 MiB"), "{answer:?}");
    stage.logged("larger than 4 MiB");
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn a_manifest_that_drips_is_given_up() {
    let stage = Stage::new(|_| {
        let head = head("200 OK", &[("Content-Type", OCI)]);
        let head = [head, b"Content-Length: 100000\r\n\r\n".to_vec()].concat();
        let drip = Step::Drip(b" ".to_vec(), Duration::from_millis(50));
        vec![Step::Send(head), drip]
    })
    .await;
    let started = Instant::now();
    assert_eq!(stage.get("manifests/1").await.status, 502);
    assert!(started.elapsed() < Duration::from_secs(5));
    stage.logged("sends too slowly");
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn an_upstream_that_takes_requests_and_says_nothing_is_given_up() {
    let stage = Stage::new(|_| vec![Step::Wait(Duration::from_mins(1))]).await;
    let started = Instant::now();
    assert_eq!(stage.get("manifests/1").await.status, 502);
    assert!(started.elapsed() < Duration::from_secs(5));
    stage.logged("the upstream cannot be reached");
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn headers_without_end_are_given_up() {
    let stage = Stage::new(|_| {
        let field = format!("X-Bomb: {}\r\n", "x".repeat(1_000)).into_bytes();
        vec![
            Step::Send(head("200 OK", &[])),
            Step::Drip(field, Duration::ZERO),
        ]
    })
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 502);
    assert_eq!(stage.get(&blob()).await.status, 502);
    stage.logged("upstream failed");
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    for nonsense in [
        &b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
        b"\0\0\0\0",
        b"",
    ] {
        let stage = Stage::new(move |_| raw(nonsense)).await;
        let answer = stage.get("manifests/1").await;
        assert_eq!(answer.status, 502, "{answer:?}");
        stage.nothing_is_left().await;
    }
}

#[tokio::test]
async fn a_manifest_is_not_unpacked_whatever_coding_it_claims() {
    // A manifest that would do, and one that grows to 64 MiB: spaces are no part of JSON's meaning.
    let bomb = [MANIFEST.as_bytes(), &vec![b' '; 64 << 20]].concat();
    for whole in [MANIFEST.as_bytes(), &bomb] {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(whole).unwrap();
        let packed = packer.finish().unwrap();
        for coding in ["gzip", "x-gzip", "deflate", "gzip, gzip"] {
            let packed = packed.clone();
            let stage = Stage::new(move |request| {
                let headers = [("Content-Type", OCI), ("Content-Encoding", coding)];
                answer(request, "200 OK", &headers, &packed)
            })
            .await;
            let answer = stage.get("manifests/1").await;
            assert_eq!(answer.status, 403, "{coding}: {answer:?}");
            stage.logged("the manifest cannot be read");
            let asked = &stage.upstream.requests()[0];
            assert_eq!(asked.headers.get("accept-encoding"), None);
            assert_eq!(stage.kept(), 0);
        }
    }
}

#[tokio::test]
async fn broken_downloads_leave_no_file_and_no_connection() {
    let stage = Stage::new(|request| {
        if request.is_manifest() {
            return manifest(request, MANIFEST);
        }
        with_length(
            BLOB.len(),
            vec![Step::Send(BLOB[..30].to_vec()), Step::HangUp],
        )
    })
    .await;
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let get = |number: usize| {
        let other = digest(&number.to_le_bytes());
        let stage = &stage;
        async move { stage.get(&format!("blobs/{other}")).await }
    };
    get(0).await;
    stage.closed().await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let (descriptors_before, tasks_before) = (descriptors(), tasks());
    // Each is asked for again some times, which takes seconds.
    for number in 1..7 {
        let answer = get(number).await;
        assert!(answer.status >= 400 || answer.body.is_err(), "{answer:?}");
    }
    stage.nothing_is_left().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(tasks() <= tasks_before + 5, "{} tasks", tasks());
    // Other tests run in this process.
    assert!(
        descriptors() < descriptors_before + 60,
        "{} descriptors",
        descriptors()
    );
}
