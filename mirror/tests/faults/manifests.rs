//! Manifests that lie: of their digest, their type, or what a second reader would make of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stage::{MANIFEST, OCI, Stage, digest, manifest};
use crate::upstream::{Request, Step, answer};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn typed(
    media_type: &'static str,
    body: &'static str,
) -> impl Fn(&Request) -> Vec<Step> + Send + Sync {
    move |request| {
        answer(
            request,
            "200 OK",
            &[("Content-Type", media_type)],
            body.as_bytes(),
        )
    }
}

#[track_caller]
fn refused(stage: &Stage, answer: &crate::stage::Answer, text: &str) {
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.text().contains(text), "{answer:?}");
    stage.logged(text);
    assert_eq!(stage.kept(), 0);
}

#[tokio::test]
async fn a_digest_header_that_lies_serves_nothing() {
    let stage = Stage::new(|request| {
        let other = digest(b"other");
        let headers = [
            ("Content-Type", OCI),
            ("Docker-Content-Digest", other.as_str()),
        ];
        answer(request, "200 OK", &headers, MANIFEST.as_bytes())
    })
    .await;
    let asked_for = digest(b"asked for");
    for tail in ["manifests/1", &format!("manifests/{asked_for}")] {
        assert_eq!(stage.get(tail).await.status, 502);
    }
    stage.logged("is not what its digest says");
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_not_served_by_digest() {
    let stage = Stage::new(|request| manifest(request, MANIFEST)).await;
    let other = format!("manifests/{}", digest(b"other"));
    assert_eq!(stage.get(&other).await.status, 502);
    stage.logged("is not what its digest says");
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn a_digest_header_that_is_none_leaves_the_bytes_to_speak() {
    let stage = Stage::new(|request| {
        let headers = [
            ("Content-Type", OCI),
            ("Docker-Content-Digest", "md5:../../etc/passwd"),
        ];
        answer(request, "200 OK", &headers, MANIFEST.as_bytes())
    })
    .await;
    let answer = stage.get("manifests/1").await;
    assert_eq!(answer.status, 200);
    let expected = digest(MANIFEST.as_bytes());
    assert_eq!(
        answer.header("docker-content-digest"),
        Some(expected.as_str())
    );
}

#[tokio::test]
async fn a_type_that_is_another_in_the_body_is_refused() {
    for (media_type, body) in [
        (INDEX, MANIFEST),
        (
            "application/vnd.docker.distribution.manifest.v2+json",
            MANIFEST,
        ),
        (
            OCI,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
        ),
    ] {
        let stage = Stage::new(typed(media_type, body)).await;
        let answer = stage.get("manifests/1").await;
        refused(&stage, &answer, "the manifest cannot be read");
    }
    let stage = Stage::new(typed("text/html", MANIFEST)).await;
    let answer = stage.get("manifests/1").await;
    refused(&stage, &answer, "media type `text/html`");
}

#[tokio::test]
async fn a_manifest_that_two_readers_could_read_differently_is_refused() {
    for body in [
        // What Go, which the engine is written in, reads: the last of two, whatever their case.
        r#"{"schemaVersion":2,"layers":[],"Layers":[{"digest":"evil"}]}"#,
        r#"{"schemaVersion":2,"layers":[{"mediaType":"a","digest":"b","size":1,"URLs":["https://evil.example/l"]}]}"#,
        "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"a\",\"url\u{17f}\":[\"https://evil.example/l\"]}]}",
        r#"{"schemaVersion":2,"config":{"digest":"a","DIGEST":"b"},"layers":[]}"#,
        r#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#,
    ] {
        let stage = Stage::new(typed(OCI, body)).await;
        let answer = stage.get("manifests/1").await;
        refused(&stage, &answer, "could be read in two ways");
    }
    for body in [
        r#"{"schemaVersion":2,"layers":[],"layers":[]}"#,
        r#"{"schemaVersion":2,"layers":[]} {"schemaVersion":2}"#,
        "\u{feff}{\"schemaVersion\":2,\"layers\":[]}",
    ] {
        let stage = Stage::new(typed(OCI, body)).await;
        let answer = stage.get("manifests/1").await;
        refused(&stage, &answer, "the manifest cannot be read");
    }
}

#[tokio::test]
async fn a_manifest_that_nests_without_end_is_refused() {
    let deep = format!("{{\"schemaVersion\":2,\"x\":{}", "[".repeat(1_000_000));
    let stage = Stage::new(move |request| {
        answer(request, "200 OK", &[("Content-Type", OCI)], deep.as_bytes())
    })
    .await;
    let answer = stage.get("manifests/1").await;
    refused(&stage, &answer, "the manifest cannot be read");
}

#[tokio::test]
async fn layers_that_lie_elsewhere_are_refused() {
    for urls in [
        "\"urls\":[\"https://evil.example/l\"]",
        "\"urls\":[\"http://169.254.169.254/\"]",
    ] {
        let body = format!(r#"{{"schemaVersion":2,"layers":[{{"mediaType":"a",{urls}}}]}}"#);
        let stage = Stage::new(move |request| {
            answer(request, "200 OK", &[("Content-Type", OCI)], body.as_bytes())
        })
        .await;
        let answer = stage.get("manifests/1").await;
        refused(&stage, &answer, "layers at other places");
    }
}

#[tokio::test]
async fn a_tag_that_flaps_gives_what_goes_together_each_time() {
    let number = AtomicUsize::new(0);
    let stage = Stage::with(
        move |request| {
            let number = number.fetch_add(1, Ordering::SeqCst);
            let body = MANIFEST.replace(
                "\"layers\":[]",
                &format!("\"layers\":[],\"number\":{number}"),
            );
            manifest(request, &body)
        },
        &[],
        |config, _| config.tag_ttl = std::time::Duration::ZERO,
    )
    .await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let answer = stage.get("manifests/1").await;
        let body = answer.body.clone().unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("docker-content-digest"),
            Some(digest(&body).as_str())
        );
        assert_eq!(answer.header("content-type"), Some(OCI));
        seen.insert(body);
    }
    assert!(seen.len() > 10);
    assert_eq!(stage.kept(), seen.len());
}

#[tokio::test]
async fn a_list_of_tags_links_nowhere_but_here() {
    for link in [
        "<https://evil.example/v2/acme/app/tags/list?last=a&n=1>; rel=\"next\"",
        "<//evil.example/?n=1&ns=evil.example>; rel=\"next\"",
        "</v2/acme/app/tags/list?n=1&ns=evil.example&last=..%2f>; rel=\"next\"",
        "<javascript:alert(1)?n=1>; rel=next",
        "<>; rel=\"next\"",
        "<<<<>>>>; rel=\"next\", <https://evil.example>; rel=\"next\"",
    ] {
        let stage = Stage::new(move |request| {
            answer(
                request,
                "200 OK",
                &[("Link", link)],
                b"{\"name\":\"x\",\"tags\":[]}",
            )
        })
        .await;
        let answer = stage.get("tags/list").await;
        assert_eq!(answer.status, 200);
        let own = answer.header("link").unwrap_or_default().to_owned();
        assert!(
            !own.contains("evil") && !own.contains("javascript"),
            "{own}"
        );
        assert!(
            own.is_empty() || own.starts_with("</v2/acme/app/tags/list?"),
            "{own}"
        );
    }
}
