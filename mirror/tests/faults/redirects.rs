//! Redirects: to places that nobody named, to addresses that no name may lead to, and without end.

use ramgate_mirror::Upstream as Place;

use crate::stage::{MANIFEST, REGISTRY, Stage, manifest};
use crate::upstream::{Request, Step, Upstream, answer};

fn to(location: &str) -> impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static {
    let location = location.to_owned();
    move |request| {
        answer(
            request,
            "307 Temporary Redirect",
            &[("Location", &location)],
            b"",
        )
    }
}

#[tokio::test]
async fn a_redirect_to_a_metadata_service_or_to_this_machine_is_not_followed() {
    let inside = Upstream::new(|request| manifest(request, MANIFEST)).await;
    let port = inside.address.port();
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254.:80/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        &format!("http://127.0.0.1:{port}/"),
        &format!("http://127.1:{port}/"),
        &format!("http://localhost:{port}/"),
        &format!("http://[::1]:{port}/"),
    ] {
        let stage = Stage::new(to(location)).await;
        for tail in ["manifests/1", "tags/list"] {
            let answer = stage.get(tail).await;
            assert_eq!(answer.status, 403, "{location}: {answer:?}");
            assert!(answer.text().contains("redirect"), "{answer:?}");
        }
        stage.logged("is none of its hosts");
        assert_eq!(stage.kept(), 0);
    }
    assert_eq!(inside.count(), 0);
}

#[tokio::test]
async fn a_host_that_the_policy_names_still_leads_to_no_address_of_this_machine() {
    let inside = Upstream::new(|request| manifest(request, MANIFEST)).await;
    let port = inside.address.port();
    for host in ["localhost", "[::1]"] {
        let named = format!("{host}:{port}");
        let stage = Stage::with(
            to(&format!("http://{named}/v2/")),
            std::slice::from_ref(&named),
            |_, _| {},
        )
        .await;
        let answer = stage.get("manifests/1").await;
        assert_eq!(answer.status, 403, "{host}: {answer:?}");
        assert!(answer.text().contains("a loopback address"), "{answer:?}");
        stage.logged("a loopback address");
    }
    assert_eq!(inside.count(), 0);
}

#[tokio::test]
async fn redirect_hosts_of_the_settings_may_be_inside() {
    let inside = Upstream::new(|request| manifest(request, MANIFEST)).await;
    let named = format!("localhost:{}", inside.address.port());
    let location = format!("http://{named}/presigned?signature=secret");
    let stage = Stage::with(to(&location), &[], |config, _| {
        for upstream in config.upstreams.values_mut() {
            upstream.redirect_hosts.push(named.clone());
        }
    })
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 200);
    // What a presigned address carries is a credential.
    assert!(!stage.log().contains("signature"), "{}", stage.log());
}

#[tokio::test]
async fn a_redirect_without_end_or_to_nowhere_has_an_end() {
    for location in [
        "/v2/acme/app/manifests/1",
        "//",
        "http://",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://user:password@registry.example/",
        "",
    ] {
        let stage = Stage::new(to(location)).await;
        let answer = stage.get("manifests/1").await;
        assert!(matches!(answer.status, 403 | 502), "{location}: {answer:?}");
        assert!(stage.upstream.count() <= 6, "{}", stage.upstream.count());
        stage.logged("redirect");
        stage.closed().await;
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_dialled_unless_the_settings_name_it() {
    let stage = Stage::new(|request| manifest(request, MANIFEST)).await;
    for registry in ["localhost", "169.254.169.254", "10.0.0.1:5000"] {
        let target = format!("/v2/acme/app/manifests/1?ns={registry}");
        let answer = stage.send("GET", &target, "").await;
        assert_eq!(answer.status, 403, "{registry}: {answer:?}");
        assert!(
            answer.text().contains("name the host in the settings"),
            "{answer:?}"
        );
    }
    stage.logged("`localhost` leads to");
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn a_name_of_the_settings_may_be_inside() {
    let stage = Stage::with(
        |request| manifest(request, MANIFEST),
        &[],
        |config, address| {
            let url = format!("http://localhost:{}", address.port());
            config
                .upstreams
                .insert(REGISTRY.parse().unwrap(), Place::new(url.parse().unwrap()));
        },
    )
    .await;
    assert_eq!(stage.get("manifests/1").await.status, 200);
}
