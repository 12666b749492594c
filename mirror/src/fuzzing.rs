//! What must hold for every request to the mirror. `fuzz/` feeds it what a fuzzer finds, the test here what proptest makes up.

use serde_json::Value;

use crate::manifest::{MEDIA_TYPES, Manifest};
use crate::path::{Pointer, Target, parse};

/// A path and query, as text with `?` between them, that name something name the same when registry and repository are written
/// out; and what they name has no dots, escapes or upper-case letters that a store or an upstream could read otherwise.
pub fn path(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let Ok(target) = parse(path, query) else {
        return;
    };
    let (repository, tail) = match &target {
        Target::Base => {
            assert!(
                matches!(path, "/v2" | "/v2/"),
                "{path} is taken for the base"
            );
            return;
        }
        Target::Manifest(repository, Pointer::Tag(tag)) => (repository, format!("manifests/{tag}")),
        Target::Manifest(repository, Pointer::Digest(digest)) => {
            (repository, format!("manifests/{digest}"))
        }
        Target::Blob(repository, digest) => (repository, format!("blobs/{digest}")),
        Target::Tags(repository) => (repository, "tags/list".to_owned()),
        Target::Referrers(repository, digest) => (repository, format!("referrers/{digest}")),
        Target::Other(repository) => (repository, "blobs/uploads/1".to_owned()),
    };
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
    assert!(repository.path().bytes().all(plain), "{repository}");
    let is_clean = |component: &str| !matches!(component, "" | "." | "..");
    assert!(repository.path().split('/').all(is_clean), "{repository}");
    // The base has no repository; a host without dot or port stands only in `ns`.
    let registry = repository.registry().to_string();
    let escaped = registry
        .replace(':', "%3A")
        .replace('[', "%5B")
        .replace(']', "%5D");
    let (first, _) = repository
        .path()
        .split_once('/')
        .unwrap_or_else(|| (repository.path(), ""));
    // A name that is nearly too long is so with what Docker Hub puts in front of it.
    if first.contains('.') || first == "localhost" || repository.path().len() > 200 {
        return;
    }
    let written = parse(
        &format!("/v2/{}/{tail}", repository.path()),
        Some(&format!("ns={escaped}")),
    );
    let same = match (&written, &target) {
        (Ok(written), target) => written == target,
        (Err(_), _) => false,
    };
    assert!(same, "{target:?} is not {written:?}");
}

/// A manifest that is served leads nowhere else, however its reader matches names: an engine's does without regard to case.
pub fn manifest(bytes: &[u8]) {
    for media_type in MEDIA_TYPES {
        let Ok(manifest) = Manifest::new(media_type, bytes.to_vec().into()) else {
            continue;
        };
        assert_eq!(manifest.bytes, bytes, "it is not what came");
        let read: Option<Value> = serde_json::from_slice(bytes).ok();
        let top = read.as_ref().and_then(Value::as_object);
        assert!(top.is_some(), "it is served and no object");
        let parts = ["config", "subject", "layers", "manifests", "blobs"];
        for (key, value) in top.into_iter().flatten() {
            let Some(part) = parts.iter().find(|part| is_taken_for(key, part)) else {
                continue;
            };
            assert_eq!(key, part, "a reader takes it for another");
            let one = std::slice::from_ref(value);
            let descriptors = value.as_array().map_or(one, Vec::as_slice);
            for (key, urls) in descriptors.iter().filter_map(Value::as_object).flatten() {
                let empty = urls.is_null() || urls.as_array().is_some_and(Vec::is_empty);
                assert!(empty || !is_taken_for(key, "urls"), "it leads to {urls}");
            }
        }
    }
}

/// As a reader that folds all that Unicode folds to ASCII.
fn is_taken_for(key: &str, name: &str) -> bool {
    let folded = key.replace('\u{17f}', "s").replace('\u{212a}', "k");
    folded.to_lowercase() == name
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn text() -> impl Strategy<Value = String> {
        let piece = select(vec![
            "/v2",
            "/",
            "/",
            "/",
            "library",
            "alpine",
            "ghcr.io",
            "localhost",
            "a.b:5000",
            "[::1]:5000",
            "manifests",
            "blobs",
            "tags/list",
            "referrers",
            "uploads",
            "..",
            ".",
            "%2f",
            "%2e",
            "latest",
            "A",
            "_",
            "-",
            "?",
            "ns=",
            "ghcr.io%3A443",
            "docker.io",
            "&",
            "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "ä",
            "\\",
            "#",
        ]);
        let free = vec(piece.clone(), 0..14).prop_map(|pieces| pieces.concat());
        let host = select(vec![
            "",
            "ghcr.io/",
            "a.b:5000/",
            "localhost/",
            "registry-1.docker.io/",
        ]);
        let namespace = select(vec![
            "",
            "?ns=docker.io",
            "?ns=ghcr.io%3A443",
            "?ns=registry",
            "?ns=%5B::1%5D:5000",
            "?ns=ghcr.io&ns=x",
        ]);
        let tail = select(vec![
            "manifests/latest",
            "manifests/A_b.c",
            "tags/list",
            "blobs/uploads/",
            "referrers/sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "manifests/",
            "blobs/sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ]);
        let well = (host, "[a-z]{1,3}(/[a-z.]{1,4}){0,2}", tail, namespace).prop_map(
            |(host, path, tail, namespace)| format!("/v2/{host}{path}/{tail}{namespace}"),
        );
        prop_oneof![free, well]
    }

    fn json() -> impl Strategy<Value = String> {
        let key = select(vec![
            "schemaVersion",
            "mediaType",
            "config",
            "layers",
            "Layers",
            "layerſ",
            "manifests",
            "blobs",
            "subject",
            "urls",
            "URLs",
            "url\u{17f}",
            "annotations",
            "digest",
            "Digest",
        ]);
        let value = select(vec![
            "2",
            "null",
            "[]",
            "{}",
            "\"x\"",
            "[\"https://x.example/\"]",
            "[{}]",
            "[{\"mediaType\":\"b\"}]",
            "[{\"mediaType\":\"b\",\"urls\":[\"https://x.example/\"]}]",
            "{\"Urls\":[\"https://x.example/\"]}",
            "{\"urls\":[]}",
            "[{\"urls\":null}]",
        ]);
        let pair = (key, value).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        vec(pair, 0..4).prop_map(|pairs| {
            let pairs: String = pairs.iter().map(|pair| format!(",{pair}")).collect();
            format!("{{\"schemaVersion\":2{pairs}}}")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_named_is_named_in_one_way(text in text()) {
            super::path(text.as_bytes());
        }

        #[test]
        fn a_manifest_that_is_served_leads_nowhere_else(text in json()) {
            super::manifest(text.as_bytes());
        }
    }
}
