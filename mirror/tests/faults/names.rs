//! Names that a second reader could read otherwise reach no upstream.

use crate::stage::{MANIFEST, REGISTRY, Stage, manifest};

#[tokio::test]
async fn tricks_of_case_and_encoding_reach_no_upstream() {
    let stage = Stage::new(|request| manifest(request, MANIFEST)).await;
    for target in [
        "/v2/acme/../evil/manifests/1",
        "/v2/acme/./app/manifests/1",
        "/v2//acme/app/manifests/1",
        "/v2/acme//app/manifests/1",
        "/v2/acme%2fapp/manifests/1",
        "/v2/acme/app%2f..%2f../manifests/1",
        "/v2/%2e%2e/app/manifests/1",
        "/v2/acme/app/manifests/..",
        "/v2/acme/app/manifests/%31%00",
        "/v2/acme/app/manifests/1%0d%0aX-Evil:%201",
        "/v2/acme/app/manifests/1%3fx",
        "/v2/Acme/App/manifests/1",
        "/v2/ACME/app/manifests/1",
        "/v2/acme\\app/manifests/1",
        "/v2/acme/app/manifests/sha256:",
        "/v2/acme/app/blobs/sha256:0000",
        "/v2/acme/app/blobs/SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "/v2/acme/app/blobs/sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "/v2/acme/app/blobs/md5:d41d8cd98f00b204e9800998ecf8427e",
        "/v1/acme/app/manifests/1",
        "/V2/acme/app/manifests/1",
        "/v2/acme/app/MANIFESTS/1",
    ] {
        let asked = format!("{target}?ns={REGISTRY}");
        let answer = stage.send("GET", &asked, "").await;
        assert!(matches!(answer.status, 400 | 404), "{target}: {answer:?}");
    }
    for namespace in [
        format!("{REGISTRY}&ns=evil.example"),
        format!("{REGISTRY}%00"),
        format!("{REGISTRY}%2fx"),
        format!("user@{REGISTRY}"),
        format!("evil.example%23{REGISTRY}"),
        "%5B::1".to_owned(),
        String::new(),
    ] {
        let target = format!("/v2/acme/app/manifests/1?ns={namespace}");
        let answer = stage.send("GET", &target, "").await;
        assert!(
            matches!(answer.status, 400 | 403 | 404),
            "{namespace}: {answer:?}"
        );
    }
    assert_eq!(stage.upstream.count(), 0);
    stage.logged("request unreadable");
    stage.nothing_is_left().await;
}

#[tokio::test]
async fn every_spelling_of_a_registry_is_the_one() {
    let stage = Stage::new(|request| manifest(request, MANIFEST)).await;
    for registry in [
        "registry.example",
        "REGISTRY.Example",
        "registry.example.",
        "registry.example:443",
    ] {
        let target = format!("/v2/acme/app/manifests/1?ns={registry}");
        assert_eq!(
            stage.send("GET", &target, "").await.status,
            200,
            "{registry}"
        );
    }
    assert_eq!(stage.upstream.count(), 1);
}
