//! Challenges: realms that collect credentials, and registries that are never satisfied.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ramgate_mirror::{Config, Login, LoginSource};

use crate::stage::{MANIFEST, REGISTRY, Stage, manifest};
use crate::upstream::{Request, Step, Upstream, answer};

/// Logs in as `user` with `hunter2`.
fn log_in(config: &mut Config, folder: &tempfile::TempDir) {
    let password_file = folder.path().join("password");
    std::fs::write(&password_file, "hunter2\n").unwrap();
    config.logins.push(Login {
        registry: REGISTRY.parse().unwrap(),
        path: None,
        source: LoginSource::Password {
            username: "user".to_owned(),
            password_file,
        },
    });
}

/// `user:hunter2`.
const BASIC: &str = "Basic dXNlcjpodW50ZXIy";

fn challenge(request: &Request, header: &str) -> Vec<Step> {
    answer(
        request,
        "401 Unauthorized",
        &[("WWW-Authenticate", header)],
        b"",
    )
}

/// The parameters of a query, or of a form.
fn parameters(text: &str) -> Vec<&str> {
    text.split(['?', '&']).collect()
}

#[tokio::test]
async fn a_hostile_realm_gets_no_request_and_no_credentials() {
    let thief = Upstream::new(|request| answer(request, "200 OK", &[], b"{\"token\":\"t\"}")).await;
    let secrets = tempfile::tempdir().unwrap();
    let port = thief.address.port();
    for realm in [
        &format!("http://127.0.0.1:{port}/token"),
        &format!("http://localhost:{port}/token"),
        &format!("http://registry.example:{port}/token"),
        "http://169.254.169.254/latest/meta-data/iam",
        "https://auth.docker.io/token",
        "file:///etc/shadow",
        "gopher://127.0.0.1/",
    ] {
        let header = format!("Bearer realm=\"{realm}\",service=\"s\"");
        let stage = Stage::with(
            move |request| challenge(request, &header),
            &[],
            |config, _| log_in(config, &secrets),
        )
        .await;
        let answer = stage.get("manifests/1").await;
        assert_eq!(answer.status, 403, "{realm}: {answer:?}");
        assert!(answer.text().contains("is not bound to it"), "{answer:?}");
        // A challenge of ours would make older engines hand over their users' passwords.
        assert_eq!(answer.header("www-authenticate"), None);
        stage.logged("is not bound to it");
        for request in stage.upstream.requests() {
            assert_eq!(request.headers.get("authorization"), None);
        }
    }
    assert_eq!(thief.count(), 0);
}

#[tokio::test]
async fn a_realm_that_redirects_is_not_followed() {
    let thief = Upstream::new(|request| answer(request, "200 OK", &[], b"{\"token\":\"t\"}")).await;
    let secrets = tempfile::tempdir().unwrap();
    let location = format!("http://{}/token", thief.address);
    let stage = Stage::with(|_| Vec::new(), &[], |config, _| log_in(config, &secrets)).await;
    let own = format!("Bearer realm=\"http://{}/token\"", stage.upstream.address);
    stage.upstream.now(move |request| {
        if request.path.starts_with("/token") {
            return answer(request, "302 Found", &[("Location", &location)], b"");
        }
        challenge(request, &own)
    });
    assert_eq!(stage.get("manifests/1").await.status, 502);
    assert_eq!(thief.count(), 0);
}

#[tokio::test]
async fn a_registry_that_refuses_every_token_is_asked_twice_and_no_more() {
    let stage = Stage::new(|_| Vec::new()).await;
    let own = format!("Bearer realm=\"http://{}/token\"", stage.upstream.address);
    stage.upstream.now(move |request| {
        if request.path.starts_with("/token") {
            return answer(request, "200 OK", &[], b"{\"token\":\"t\"}");
        }
        challenge(request, &own)
    });
    let answer = stage.get("manifests/1").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(stage.upstream.count(), 3);
    stage.logged("refused with status 401");
}

#[tokio::test]
async fn challenges_that_cannot_be_read_are_met_with_nothing() {
    let secrets = tempfile::tempdir().unwrap();
    for header in [
        "",
        "Bearer",
        "Bearer realm",
        "Bearer realm=\"",
        "Negotiate",
        "Digest realm=\"x\"",
        "Bearer service=\"only\"",
        &format!("Bearer {}", "a=\"b\",".repeat(5_000)),
    ] {
        let own = header.to_owned();
        let stage = Stage::with(
            move |request| challenge(request, &own),
            &[],
            |config, _| log_in(config, &secrets),
        )
        .await;
        let answer = stage.get("manifests/1").await;
        assert_eq!(answer.status, 403, "{header}: {answer:?}");
        assert_eq!(stage.upstream.count(), 1);
    }
}

#[tokio::test]
async fn a_token_that_is_none_is_not_sent() {
    for token in [
        "{}",
        "{\"token\":\"\"}",
        "{\"token\":\"a\\r\\nX-Evil: 1\"}",
        "[]",
        "<html>",
    ] {
        let stage = Stage::new(|_| Vec::new()).await;
        let own = format!("Bearer realm=\"http://{}/token\"", stage.upstream.address);
        stage.upstream.now(move |request| {
            if request.path.starts_with("/token") {
                return answer(request, "200 OK", &[], token.as_bytes());
            }
            challenge(request, &own)
        });
        assert!(stage.get("manifests/1").await.status >= 400);
        for request in stage.upstream.requests() {
            assert_eq!(request.headers.get("authorization"), None, "{token}");
            assert_eq!(request.headers.get("x-evil"), None);
        }
    }
}

#[tokio::test]
async fn credentials_go_to_the_realm_and_the_token_to_the_registry_and_nothing_elsewhere() {
    let secrets = tempfile::tempdir().unwrap();
    let cdn = Upstream::new(|request| manifest(request, MANIFEST)).await;
    let location = format!("http://localhost:{}/blob", cdn.address.port());
    let named = format!("localhost:{}", cdn.address.port());
    let stage = Stage::with(
        |_| Vec::new(),
        &[],
        |config, _| {
            log_in(config, &secrets);
            for upstream in config.upstreams.values_mut() {
                upstream.redirect_hosts.push(named.clone());
            }
        },
    )
    .await;
    let own = format!(
        "Bearer realm=\"http://{}/token\",service=\"s&x=y\"",
        stage.upstream.address
    );
    stage.upstream.now(move |request| {
        if request.path.starts_with("/token") {
            return answer(
                request,
                "200 OK",
                &[],
                b"{\"token\":\"tok\",\"expires_in\":300}",
            );
        }
        match request.headers.get("authorization").map(String::as_str) {
            Some("Bearer tok") => answer(
                request,
                "307 Temporary Redirect",
                &[("Location", &location)],
                b"",
            ),
            _ => challenge(request, &own),
        }
    });
    for tag in ["1", "2"] {
        assert_eq!(stage.get(&format!("manifests/{tag}")).await.status, 200);
    }
    let requests = stage.upstream.requests();
    let tokens: Vec<&Request> = requests
        .iter()
        .filter(|request| request.path.starts_with("/token"))
        .collect();
    assert_eq!(tokens.len(), 1, "the token is kept");
    assert_eq!(tokens[0].headers["authorization"], BASIC);
    let parameters = parameters(&tokens[0].path);
    assert!(parameters.contains(&"scope=repository%3Aacme%2Fapp%3Apull"));
    assert!(parameters.contains(&"service=s%26x%3Dy"));
    for request in cdn.requests() {
        assert_eq!(request.headers.get("authorization"), None);
    }
    assert_eq!(cdn.count(), 2);
    let log = stage.log();
    assert!(
        !log.contains("hunter2") && !log.contains("dXNlcjpodW50ZXIy") && !log.contains("tok\"")
    );
}

#[tokio::test]
async fn a_password_that_is_rotated_is_taken_up() {
    let secrets = tempfile::tempdir().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    let stage = Stage::with(
        move |request| match request.headers.get("authorization").map(String::as_str) {
            // `user:second`.
            Some("Basic dXNlcjpzZWNvbmQ=") => {
                counted.fetch_add(1, Ordering::SeqCst);
                manifest(request, MANIFEST)
            }
            _ => challenge(request, "Basic realm=\"registry\""),
        },
        &[],
        |config, _| log_in(config, &secrets),
    )
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 404);
    std::fs::write(secrets.path().join("password"), "second").unwrap();
    assert_eq!(stage.get("manifests/1").await.status, 200);
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    std::fs::remove_file(secrets.path().join("password")).unwrap();
    assert_eq!(stage.get("manifests/2").await.status, 502);
    stage.logged("credentials for the upstream cannot be had");
}
