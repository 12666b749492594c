//! Whose credentials go where: those of clients nowhere, and our own by prefix, helper and docker's configuration.

use std::os::unix::fs::PermissionsExt;

use ramgate_mirror::{Login, LoginSource};

use crate::stage::{MANIFEST, REGISTRY, Stage, manifest};
use crate::upstream::answer;

#[tokio::test]
async fn what_a_client_sends_reaches_no_upstream_and_no_log() {
    let stage = Stage::new(|request| manifest(request, MANIFEST)).await;
    let secret = "c2VjcmV0OmNsaWVudA==";
    let headers = format!(
        "Authorization: Basic {secret}\r\nProxy-Authorization: Basic {secret}\r\nCookie: session={secret}\r\n\
         X-Registry-Auth: {secret}\r\nX-Forwarded-For: 10.0.0.1\r\nRange: bytes=0-1\r\n"
    );
    for tail in ["manifests/1", "tags/list", "manifests/2"] {
        let target = format!("/v2/acme/app/{tail}?ns={REGISTRY}&token={secret}");
        let answer = stage.send("GET", &target, &headers).await;
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
    // A denied and an unreadable request are logged too.
    for target in [
        format!("/v2/denied.example/x/manifests/1?token={secret}"),
        format!("/v2/x/../y/manifests/1?token={secret}"),
    ] {
        stage.send("GET", &target, &headers).await;
    }
    assert!(stage.upstream.count() > 0);
    for request in stage.upstream.requests() {
        let all = format!("{request:?}");
        assert!(!all.contains(secret), "{all}");
        for name in [
            "authorization",
            "cookie",
            "x-forwarded-for",
            "x-registry-auth",
        ] {
            assert_eq!(request.headers.get(name), None);
        }
    }
    assert!(!stage.log().contains(secret), "{}", stage.log());
    let mut kept = Vec::new();
    walk(stage.folder.path(), &mut kept);
    assert!(!kept.is_empty());
    for file in kept {
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        );
    }
}

fn walk(folder: &std::path::Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else {
            into.push(path);
        }
    }
}

#[tokio::test]
async fn a_mirror_challenges_nobody() {
    let stage = Stage::new(|request| {
        let header = [("WWW-Authenticate", "Basic realm=\"give\"")];
        answer(request, "401 Unauthorized", &header, b"")
    })
    .await;
    for target in [
        "/v2/".to_owned(),
        format!("/v2/acme/app/manifests/1?ns={REGISTRY}"),
        "/v2/denied.example/x/manifests/1".to_owned(),
    ] {
        let answer = stage.send("GET", &target, "").await;
        assert_ne!(answer.status, 401, "{target}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
}

/// Helpers are found on the PATH, which a process gets when it starts: the test is run again with one that has a helper.
#[test]
fn a_credential_helper_is_asked_once_and_never_by_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "#!/bin/sh\nread server\necho \"$1 $server\" >> {}\necho secret-on-stderr >&2\n\
         echo '{{\"ServerURL\":\"x\",\"Username\":\"helped\",\"Secret\":\"sesame\"}}'\n",
        folder.path().join("seen").display()
    );
    let helper = folder.path().join("docker-credential-of-the-test");
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, PermissionsExt::from_mode(0o755)).unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "credentials::with_a_helper_on_the_path",
        ])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    let asked = std::fs::read_to_string(folder.path().join("seen")).unwrap();
    assert_eq!(asked, format!("get {REGISTRY}\n"));
}

#[tokio::test]
#[ignore = "is run by the test above, with a helper on its PATH"]
async fn with_a_helper_on_the_path() {
    let stage = Stage::with(
        |request| match request.headers.get("authorization").map(String::as_str) {
            // `helped:sesame`.
            Some("Basic aGVscGVkOnNlc2FtZQ==") => manifest(request, MANIFEST),
            _ => {
                let header = [("WWW-Authenticate", "Basic realm=\"registry\"")];
                answer(request, "401 Unauthorized", &header, b"")
            }
        },
        &[],
        |config, _| {
            config.logins.push(Login {
                registry: REGISTRY.parse().unwrap(),
                path: Some("acme".to_owned()),
                source: LoginSource::Helper("of-the-test".to_owned()),
            });
        },
    )
    .await;
    for tail in ["manifests/1", "manifests/2"] {
        assert_eq!(stage.get(tail).await.status, 200);
    }
    assert!(!stage.log().contains("sesame") && !stage.log().contains("secret-on-stderr"));
    // The first is asked for without; once it is known that Basic is wanted, the second is not.
    assert_eq!(stage.upstream.count(), 3);
    let other = format!("/v2/other/app/manifests/1?ns={REGISTRY}");
    assert_eq!(stage.send("GET", &other, "").await.status, 404);
    assert_eq!(
        stage.upstream.requests()[3].headers.get("authorization"),
        None
    );
}

#[tokio::test]
async fn an_identity_token_of_dockers_configuration_is_posted_to_the_realm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(
        &file,
        format!(r#"{{ "auths": {{ "{REGISTRY}": {{ "identitytoken": "refresh&me" }} }} }}"#),
    )
    .unwrap();
    let stage = Stage::with(
        |_| Vec::new(),
        &[],
        |config, _| config.docker_config = Some(file),
    )
    .await;
    let own = format!(
        "Bearer realm=\"http://{}/token\",service=\"registry\"",
        stage.upstream.address
    );
    stage.upstream.now(move |request| {
        if request.path.starts_with("/token") {
            return answer(request, "200 OK", &[], b"{\"access_token\":\"a\"}");
        }
        match request.headers.get("authorization").map(String::as_str) {
            Some("Bearer a") => manifest(request, MANIFEST),
            _ => {
                let header = [("WWW-Authenticate", own.as_str())];
                answer(request, "401 Unauthorized", &header, b"")
            }
        }
    });
    assert_eq!(stage.get("manifests/1").await.status, 200);
    let requests = stage.upstream.requests();
    assert_eq!(
        (requests[1].method.as_str(), requests[1].path.as_str()),
        ("POST", "/token")
    );
    assert_eq!(
        requests[1].body,
        "grant_type=refresh_token&client_id=ramgate&refresh_token=refresh%26me&scope=repository%3Aacme%2Fapp%3Apull&service=registry"
    );
}
