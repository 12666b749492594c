//! The pull and content-discovery parts of the OCI distribution spec, clause by clause. Source: opencontainers/distribution-spec
//! `spec.md`; `end-N` are its endpoints.

use crate::fixture::{ALL, INDEX, Image, MANIFEST, Stage, digest};
use serde_json::json;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn end_1_the_base_says_that_this_is_a_registry() {
    let stage = Stage::new(ALL).await;
    assert_eq!(
        stage
            .get("/v2/")
            .await
            .is(200)
            .header("docker-distribution-api-version"),
        "registry/2.0"
    );
    assert!(stage.hub.requests().is_empty() && stage.ghcr.requests().is_empty());
}

#[tokio::test]
async fn end_2_blobs_come_as_they_are_with_their_digest() {
    let stage = Stage::new(ALL).await;
    let image = Image::new("a", &["layer one"]);
    stage.ghcr.image("acme/app", "1", &image);
    let path = format!("/v2/acme/app/blobs/{}?ns=ghcr.io", digest(b"layer one"));
    // The second time it may still be on its way to the disk, and is shared.
    for sources in [&["fwd=miss"][..], &["fwd=miss", "hit"]] {
        let got = stage.get(&path).await;
        assert_eq!(got.is(200).body, "layer one");
        assert_eq!(got.header("docker-content-digest"), digest(b"layer one"));
        assert_eq!(got.header("content-length"), "9");
        let source = got.header("cache-status").strip_prefix("ramgate; ");
        assert!(source.is_some_and(|source| sources.contains(&source)));
        assert_eq!(got.header("oci-namespace"), "ghcr.io");
    }
    let head = stage.head(&path).await;
    assert_eq!(
        (head.is(200).header("content-length"), head.body.len()),
        ("9", 0)
    );
    let missing = stage
        .get(&format!("/v2/acme/app/blobs/{DIGEST}?ns=ghcr.io"))
        .await;
    assert_eq!(missing.is(404).error().0, "BLOB_UNKNOWN");
    let wrong = stage.get("/v2/acme/app/blobs/sha256:12?ns=ghcr.io").await;
    assert_eq!(wrong.is(400).error().0, "DIGEST_INVALID");
}

#[tokio::test]
async fn end_3_manifests_come_by_tag_and_digest_byte_for_byte() {
    let stage = Stage::new(ALL).await;
    let image = Image::new("a", &["x"]);
    let by_digest = stage.ghcr.image("acme/app", "1", &image);
    for pointer in ["1", by_digest.as_str()] {
        for _ in 0..2 {
            let path = format!("/v2/ghcr.io/acme/app/manifests/{pointer}");
            let got = stage.get(&path).await;
            assert_eq!(got.is(200).body, image.manifest);
            assert_eq!(got.header("content-type"), MANIFEST);
            assert_eq!(got.header("docker-content-digest"), by_digest);
            assert_eq!(got.header("etag"), format!("\"{by_digest}\""));
            let head = stage.head(&path).await;
            assert_eq!(head.is(200).header("docker-content-digest"), by_digest);
            assert_eq!(
                head.header("content-length"),
                image.manifest.len().to_string()
            );
            assert!(head.body.is_empty());
        }
    }
    let missing = stage.get("/v2/ghcr.io/acme/app/manifests/2").await;
    assert_eq!(missing.is(404).error().0, "MANIFEST_UNKNOWN");
    let wrong = stage.get("/v2/ghcr.io/acme/app/manifests/-").await;
    assert_eq!(wrong.is(400).error().0, "TAG_INVALID");
    let wrong = stage.get("/v2/ghcr.io/Acme/manifests/1").await;
    assert_eq!(wrong.is(400).error().0, "NAME_INVALID");
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again_but_judged_again() {
    let stage = Stage::new(ALL).await;
    let image = Image::new("a", &["x"]);
    let by_digest = stage.ghcr.image("acme/app", "1", &image);
    let layer = digest(b"x");
    let has = |digest: &str| format!("\"{digest}\"");
    for (path, digest) in [
        ("/v2/ghcr.io/acme/app/manifests/1".to_owned(), &by_digest),
        (format!("/v2/ghcr.io/acme/app/blobs/{layer}"), &layer),
    ] {
        for method in ["GET", "HEAD"] {
            let got = stage
                .ask(method, &path, &[("if-none-match", &has(digest))])
                .await;
            assert_eq!(got.is(304).header("etag"), has(digest));
            assert!(got.body.is_empty());
        }
        let other = stage
            .ask("GET", &path, &[("if-none-match", &has(DIGEST))])
            .await;
        assert!(!other.is(200).body.is_empty());
    }
    // A client that says it has something learns nothing of a repository without it.
    let missing = format!("/v2/ghcr.io/acme/app/blobs/{DIGEST}");
    stage
        .ask("GET", &missing, &[("if-none-match", "*")])
        .await
        .is(404);
    stage.policy(r#"{ "version": 1, "registries": [{ "host": "docker.io" }] }"#);
    let path = "/v2/ghcr.io/acme/app/manifests/1";
    let denied = stage
        .ask("GET", path, &[("if-none-match", &has(&by_digest))])
        .await;
    assert_eq!(denied.is(403).error().0, "DENIED");
}

#[tokio::test]
async fn end_8_tags_are_listed_page_by_page() {
    let stage = Stage::new(ALL).await;
    let list = |tags: &[&str]| json!({ "name": "liar/other", "tags": tags }).to_string();
    let next = "</v2/acme/app/tags/list?last=2&n=2>; rel=\"next\"";
    stage.ghcr.put(
        "/v2/acme/app/tags/list",
        200,
        &[],
        list(&["1", "2", "\u{1b}[31m", "../x", "3"]),
    );
    stage.ghcr.put(
        "/v2/acme/app/tags/list?n=2",
        200,
        &[("link", next)],
        list(&["1", "2"]),
    );
    stage
        .ghcr
        .put("/v2/acme/app/tags/list?n=2&last=2", 200, &[], list(&["3"]));
    stage.ghcr.put(
        "/v2/acme/none/tags/list",
        200,
        &[],
        "{\"name\":\"acme/none\",\"tags\":null}",
    );
    stage.ghcr.put("/v2/acme/odd/tags/list", 200, &[], "<html>");

    // What is no tag cannot be pulled, and whoever prints it should not have to mind.
    let all = stage.get("/v2/acme/app/tags/list?ns=ghcr.io").await;
    assert_eq!(
        all.is(200).json(),
        json!({ "name": "acme/app", "tags": ["1", "2", "3"] })
    );
    let page = stage.get("/v2/acme/app/tags/list?n=2&ns=ghcr.io").await;
    assert_eq!(page.is(200).json()["tags"], json!(["1", "2"]));
    assert_eq!(
        page.header("link"),
        "</v2/acme/app/tags/list?last=2&n=2&ns=ghcr.io>; rel=\"next\""
    );
    let last = stage
        .get("/v2/acme/app/tags/list?n=2&last=2&ns=ghcr.io")
        .await;
    assert_eq!(
        (last.is(200).json()["tags"].clone(), last.header("link")),
        (json!(["3"]), "")
    );
    let none = stage.get("/v2/acme/none/tags/list?ns=ghcr.io").await;
    assert_eq!(none.is(200).json()["tags"], json!([]));
    stage.get("/v2/acme/odd/tags/list?ns=ghcr.io").await.is(502);
    let unknown = stage.get("/v2/acme/unknown/tags/list?ns=ghcr.io").await;
    assert_eq!(unknown.is(404).error().0, "NAME_UNKNOWN");

    stage.policy(
        r#"{ "version": 1, "registries": [{ "host": "ghcr.io", "repositories": ["other/*"] }] }"#,
    );
    let denied = stage.get("/v2/acme/app/tags/list?ns=ghcr.io").await;
    assert_eq!(denied.is(403).error().0, "DENIED");
}

#[tokio::test]
async fn lists_of_tags_have_pages_where_the_upstream_knows_none() {
    let stage = Stage::new(ALL).await;
    // As Distribution 2.8 answers, whatever page is asked for.
    let all = json!({ "name": "acme/app", "tags": ["b", "A", "c", "a"] }).to_string();
    for query in ["", "?n=2", "?n=2&last=a", "?n=0", "?last=b", "?n=9"] {
        let path = format!("/v2/acme/app/tags/list{query}");
        stage.ghcr.put(&path, 200, &[], all.clone());
    }
    for (query, tags, link) in [
        ("?ns=ghcr.io", json!(["b", "A", "c", "a"]), ""),
        (
            "?n=2&ns=ghcr.io",
            json!(["A", "a"]),
            "</v2/acme/app/tags/list?n=2&last=a&ns=ghcr.io>; rel=\"next\"",
        ),
        ("?n=2&last=a&ns=ghcr.io", json!(["b", "c"]), ""),
        ("?n=0&ns=ghcr.io", json!([]), ""),
        ("?last=b&ns=ghcr.io", json!(["c"]), ""),
        ("?n=9&ns=ghcr.io", json!(["b", "A", "c", "a"]), ""),
    ] {
        let got = stage.get(&format!("/v2/acme/app/tags/list{query}")).await;
        assert_eq!(got.is(200).json()["tags"], tags, "{query}");
        assert_eq!(got.header("link"), link, "{query}");
    }
}

fn referrer(name: &str, artifact_type: &str) -> serde_json::Value {
    json!({ "mediaType": MANIFEST, "size": 7, "digest": digest(name.as_bytes()), "artifactType": artifact_type, "annotations": { "name": name } })
}

fn index(referrers: &[serde_json::Value]) -> String {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": referrers }).to_string()
}

#[tokio::test]
async fn end_12_referrers_come_from_the_upstreams_api() {
    let stage = Stage::new(ALL).await;
    let (sbom, signature) = (
        referrer("sbom", "text/sbom"),
        referrer("signature", "text/signature"),
    );
    let path = format!("/v2/acme/app/referrers/{DIGEST}");
    let typed = [("content-type", INDEX)];
    let link = format!("<{path}?n=1&last=x>; rel=\"next\"");
    let paged = [("content-type", INDEX), ("link", link.as_str())];
    stage
        .ghcr
        .put(&path, 200, &paged, index(std::slice::from_ref(&sbom)));
    stage.ghcr.put(
        &format!("{path}?n=1&last=x"),
        200,
        &typed,
        index(std::slice::from_ref(&signature)),
    );

    let all = stage.get(&format!("{path}?ns=ghcr.io")).await;
    assert_eq!(all.is(200).header("content-type"), INDEX);
    assert_eq!(all.json()["manifests"], json!([sbom, signature]));
    assert_eq!(all.header("oci-filters-applied"), "");
    let some = stage
        .get(&format!("{path}?ns=ghcr.io&artifactType=text%2Fsbom"))
        .await;
    assert_eq!(some.is(200).json()["manifests"], json!([sbom]));
    assert_eq!(some.header("oci-filters-applied"), "artifactType");
    assert_eq!(some.header("cache-status"), "ramgate; hit");
    let none = stage
        .get(&format!("{path}?ns=ghcr.io&artifactType=x"))
        .await;
    assert_eq!(none.is(200).json()["manifests"], json!([]));
    assert_eq!(stage.ghcr.requests().len(), 2, "two pages, once");
    stage
        .get(&format!("{path}?ns=ghcr.io&artifactType=a&artifactType=b"))
        .await
        .is(400);
    stage
        .get("/v2/acme/app/referrers/latest?ns=ghcr.io")
        .await
        .is(400);
}

#[tokio::test]
async fn referrers_come_by_tag_where_there_is_no_api_and_are_none_where_there_is_neither() {
    let stage = Stage::new(ALL).await;
    let sbom = referrer("sbom", "text/sbom");
    let tag = DIGEST.replace(':', "-");
    stage
        .ghcr
        .manifest("acme/app", &tag, INDEX, &index(std::slice::from_ref(&sbom)));
    let by_tag = stage
        .get(&format!("/v2/ghcr.io/acme/app/referrers/{DIGEST}"))
        .await;
    assert_eq!(by_tag.is(200).json()["manifests"], json!([sbom]));

    let none = stage
        .get(&format!("/v2/ghcr.io/acme/other/referrers/{DIGEST}"))
        .await;
    assert_eq!(none.is(200).header("content-type"), INDEX);
    assert_eq!(
        none.json(),
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] })
    );
}

#[tokio::test]
async fn lists_that_never_end_or_are_none_are_given_up() {
    let stage = Stage::new(ALL).await;
    let path = format!("/v2/acme/app/referrers/{DIGEST}");
    let link = |page: usize| format!("<{path}?n=1&last={page}>; rel=\"next\"");
    stage
        .ghcr
        .put(&path, 200, &[("link", &link(0))], index(&[]));
    for page in 0..200 {
        stage.ghcr.put(
            &format!("{path}?n=1&last={page}"),
            200,
            &[("link", &link(page + 1))],
            index(&[]),
        );
    }
    let endless = stage.get(&format!("{path}?ns=ghcr.io")).await;
    assert_eq!(endless.is(502).error().0, "UNAVAILABLE");
    assert!(stage.ghcr.requests().len() <= 100);
    for (repository, body) in [
        ("large", " ".repeat(5 * 1024 * 1024)),
        ("odd", "<html>".to_owned()),
        ("twice", "{\"manifests\":[],\"manifests\":[]}".to_owned()),
    ] {
        let path = format!("/v2/acme/{repository}/referrers/{DIGEST}");
        stage.ghcr.put(&path, 200, &[], body);
        stage.get(&format!("{path}?ns=ghcr.io")).await.is(502);
    }
}

#[tokio::test]
async fn referrers_of_before_are_served_while_the_upstream_fails() {
    let stage = Stage::with_ttl(ALL, std::time::Duration::ZERO).await;
    let path = format!("/v2/acme/app/referrers/{DIGEST}");
    let sbom = referrer("sbom", "text/sbom");
    stage
        .ghcr
        .put(&path, 200, &[], index(std::slice::from_ref(&sbom)));
    stage.get(&format!("{path}?ns=ghcr.io")).await.is(200);
    stage.ghcr.put(&path, 500, &[], "");
    let stale = stage.get(&format!("{path}?ns=ghcr.io")).await;
    assert_eq!(stale.is(200).json()["manifests"], json!([sbom]));
    assert_eq!(stale.header("cache-status"), "ramgate; hit; detail=stale");
}

#[tokio::test]
async fn nothing_is_pushed_to_or_deleted_from_a_mirror() {
    let stage = Stage::new(ALL).await;
    for (method, path) in [
        ("POST", "/v2/acme/app/blobs/uploads/?ns=ghcr.io"),
        ("PATCH", "/v2/acme/app/blobs/uploads/1?ns=ghcr.io"),
        ("PUT", "/v2/acme/app/blobs/uploads/1?ns=ghcr.io"),
        ("PUT", "/v2/acme/app/manifests/1?ns=ghcr.io"),
        ("DELETE", "/v2/acme/app/manifests/1?ns=ghcr.io"),
        ("DELETE", "/v2/acme/app/blobs/sha256:1?ns=ghcr.io"),
        ("BREW", "/v2/"),
    ] {
        let got = stage.ask(method, path, &[]).await;
        assert_eq!(
            (got.is(405).error().0.as_str(), got.header("allow")),
            ("DENIED", "GET, HEAD"),
            "{method}"
        );
    }
    assert!(stage.ghcr.requests().is_empty());
    let upload = stage.get("/v2/acme/app/blobs/uploads/1?ns=ghcr.io").await;
    assert_eq!(upload.is(404).error().0, "UNSUPPORTED");
    let catalog = stage.get("/v2/_catalog").await;
    assert_eq!(catalog.is(404).error().0, "UNSUPPORTED");
}

#[tokio::test]
async fn every_kind_of_content_passes_byte_for_byte() {
    let stage = Stage::new(ALL).await;
    let descriptor = |kind: &str| json!({ "mediaType": kind, "digest": DIGEST, "size": 1 });
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let cases = [
        (
            docker,
            json!({ "schemaVersion": 2, "mediaType": docker, "config": descriptor("c"), "layers": [descriptor("l")] }),
        ),
        (
            list,
            json!({ "schemaVersion": 2, "mediaType": list, "manifests": [descriptor(docker)] }),
        ),
        (
            INDEX,
            json!({ "schemaVersion": 2, "artifactType": "x/y", "manifests": [descriptor(MANIFEST)], "subject": descriptor(MANIFEST) }),
        ),
        (
            MANIFEST,
            json!({ "schemaVersion": 2, "config": descriptor("c"), "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+zstd")] }),
        ),
        (
            MANIFEST,
            json!({ "schemaVersion": 2, "artifactType": "text/sbom", "config": descriptor("application/vnd.oci.empty.v1+json"),
            "layers": [descriptor("application/x-unheard-of")], "subject": descriptor(MANIFEST), "unheard": { "of": [1, 2.5, null] } }),
        ),
    ];
    for (index, (media_type, body)) in cases.iter().enumerate() {
        // As no encoder of ours would write it.
        let body = format!(" {}\n\n", body.to_string().replace(',', " ,\t"));
        let tag = format!("t{index}");
        let digest = stage.ghcr.manifest("acme/app", &tag, media_type, &body);
        for pointer in [&tag, &digest] {
            let got = stage
                .get(&format!("/v2/acme/app/manifests/{pointer}?ns=ghcr.io"))
                .await;
            assert_eq!(got.is(200).body, body);
            assert_eq!(got.header("content-type"), *media_type);
        }
    }
}

#[tokio::test]
async fn manifests_that_lead_past_the_mirror_or_can_be_read_two_ways_are_refused_with_the_reason() {
    let stage = Stage::new(ALL).await;
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    for (tag, media_type, body, reason) in [
        (
            "schema1",
            schema1,
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
            "schema 1",
        ),
        (
            "urls",
            MANIFEST,
            r#"{"schemaVersion":2,"layers":[{"mediaType":"b","urls":["https://x.example/"]}]}"#,
            "urls",
        ),
        (
            "twice",
            MANIFEST,
            r#"{"schemaVersion":2,"layers":[],"layers":[]}"#,
            "cannot be read",
        ),
        (
            "noted-twice",
            MANIFEST,
            r#"{"schemaVersion":2,"annotations":{"a":"1","a":"2"}}"#,
            "two ways",
        ),
        (
            "folded",
            MANIFEST,
            r#"{"schemaVersion":2,"layers":[],"LAYERS":[{"urls":["https://x.example/"]}]}"#,
            "two ways",
        ),
        (
            "both",
            MANIFEST,
            r#"{"schemaVersion":2,"layers":[],"manifests":[{"mediaType":"m"}]}"#,
            "two ways",
        ),
        ("html", "text/html", "<html>", "text/html"),
    ] {
        stage.ghcr.manifest("acme/app", tag, media_type, body);
        let got = stage
            .get(&format!("/v2/acme/app/manifests/{tag}?ns=ghcr.io"))
            .await;
        let (code, message) = got.is(403).error();
        assert_eq!(code, "DENIED", "{tag}");
        assert!(message.contains(reason), "{tag}: {message}");
    }
}

#[tokio::test]
async fn what_is_asked_for_is_counted() {
    let stage = Stage::new(ALL).await;
    let image = Image::new("a", &["layer one"]);
    stage.ghcr.image("acme/app", "1", &image);
    let layer = digest(b"layer one");
    for _ in 0..3 {
        stage.get("/v2/ghcr.io/acme/app/manifests/1").await.is(200);
        stage
            .get(&format!("/v2/ghcr.io/acme/app/blobs/{layer}"))
            .await
            .is(200);
    }
    stage.policy(r#"{ "version": 1, "registries": [] }"#);
    stage.get("/v2/ghcr.io/acme/app/manifests/1").await.is(403);
    let mut registry = prometheus_client::registry::Registry::default();
    stage.mirror.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let bytes = image.manifest.len() + 9;
    for line in [
        "ramgate_mirror_requests_total{kind=\"manifest\",cache=\"hit\",status=\"2xx\"} 2"
            .to_owned(),
        "ramgate_mirror_requests_total{kind=\"manifest\",cache=\"none\",status=\"4xx\"} 1"
            .to_owned(),
        "ramgate_mirror_denials_total{reason=\"registry-not-allowed\"} 1".to_owned(),
        format!("ramgate_mirror_fetched_bytes_total {bytes}"),
        format!("ramgate_mirror_served_bytes_total {}", 3 * bytes),
        "ramgate_mirror_in_flight 0".to_owned(),
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no `{line}` in\n{text}"
        );
    }
    // Two, and one for each who asked while the blob was still on its way to the disk.
    assert!(text.contains("ramgate_mirror_upstream_seconds_count{outcome=\"answered\"} "));
}
