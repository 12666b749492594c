//! What an inspector passes on, to whom, and what it keeps back. The registry and the store that it redirects to are servers
//! here, which note what reaches them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode, header};
use ramgate_mirror::{Config, Inspector, Mirror, Place, SiteProxy, Storage, Upstream};
use ramgate_policy::{Policy, Subject};
use ramgate_provenance::Ledger;

const REGISTRY: &str = "registry.acme.example";
/// SHA-256 of `blob`.
const BLOB: &str = "sha256:fa2c8cc4f28176bbeed4b736df569a34c79cd3723e9ec42f9674b4d46ac6b8b8";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const MANIFEST: &str = r#"{"schemaVersion":2,"layers":[]}"#;
/// SHA-256 of it.
const DIGEST: &str = "sha256:6ece6defe7067e1c5455a7720c1189ad30f7f8efe78587bd7c06e64a80fe7770";
const ELSEWHERE: &str =
    r#"{"schemaVersion":2,"layers":[{"digest":"","urls":["https://evil.example/x"]}]}"#;

/// What reached a server: method, path, authorization, content. Of headers that lead astray, the first one stands before the path.
type Seen = Arc<Mutex<Vec<[String; 4]>>>;

/// A registry, a store behind it, and what judges the way there.
struct World {
    inspector: Inspector,
    registry: Seen,
    store: Seen,
    _folder: tempfile::TempDir,
}

/// A server that answers as `answer` says, and what reached it.
async fn serve(
    answer: impl Fn(&str, &str) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let router = Router::new().fallback(move |request: Request| {
        let (noted, answer) = (Arc::clone(&noted), answer.clone());
        async move {
            let (parts, body) = request.into_parts();
            let credentials = ["authorization", "private-token", "cookie"];
            let authorization = credentials
                .iter()
                .find_map(|name| parts.headers.get(*name))
                .map_or("", |value| value.to_str().unwrap())
                .to_owned();
            let content =
                String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
            let mut path = parts.uri.path_and_query().unwrap().to_string();
            if parts.headers.contains_key("x-original-url")
                || parts.headers.contains_key("x-http-method-override")
            {
                path = format!("led astray: {path}");
            }
            let response = answer(parts.method.as_str(), &path);
            noted
                .lock()
                .unwrap()
                .push([parts.method.to_string(), path, authorization, content]);
            response
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

fn answer(status: StatusCode, headers: &[(&str, &str)], body: &'static str) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body)).unwrap()
}

/// A mirror whose one registry is at `address`.
fn mirror(
    address: SocketAddr,
    policy: &str,
    site_proxy: Option<SiteProxy>,
) -> (Mirror, Arc<ArcSwap<Policy>>, tempfile::TempDir) {
    let policy = Arc::new(ArcSwap::from_pointee(Policy::parse(policy).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{address}").parse().unwrap();
    let storage = Storage {
        place: Place::Directory(folder.path().join("mirror")),
        max_size_bytes: None,
        pins: Vec::new(),
    };
    let config = Config {
        upstreams: BTreeMap::from([(REGISTRY.parse().unwrap(), Upstream::new(url))]),
        site_proxy,
        ..Config::new(storage)
    };
    let ledger = Ledger::open(&folder.path().join("ledger.redb"))
        .unwrap()
        .ledger;
    let mirror = Mirror::new(config, Arc::clone(&policy), Arc::new(ledger)).unwrap();
    (mirror, policy, folder)
}

async fn world() -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (store_address, store) = serve(|_, _| answer(StatusCode::OK, &[], "blob")).await;
    let (address, registry) = serve(move |method, path| {
        let to = |host: &str| {
            let location = format!("http://{host}/data?signature=x");
            answer(
                StatusCode::TEMPORARY_REDIRECT,
                &[("location", location.as_str())],
                "",
            )
        };
        match (method, path) {
            ("GET", "/v2/") => {
                let challenge = format!(r#"Bearer realm="https://{REGISTRY}/token",service="x""#);
                answer(
                    StatusCode::UNAUTHORIZED,
                    &[("www-authenticate", challenge.as_str())],
                    "",
                )
            }
            ("GET", path) if path.starts_with("/v2/acme/app/blobs/") => {
                to(&store_address.to_string())
            }
            ("GET", path) if path.starts_with("/v2/acme/away/blobs/") => to("127.0.0.1:9"),
            ("GET", "/v2/acme/app/manifests/elsewhere") => answer(
                StatusCode::OK,
                &[("content-type", MANIFEST_TYPE)],
                ELSEWHERE,
            ),
            // As a registry answers who asks for `Range: bytes=0-`.
            ("GET", "/v2/acme/app/manifests/part") => answer(
                StatusCode::PARTIAL_CONTENT,
                &[("content-type", MANIFEST_TYPE)],
                ELSEWHERE,
            ),
            ("GET", path) if path.contains("/manifests/") => {
                answer(StatusCode::OK, &[("content-type", MANIFEST_TYPE)], MANIFEST)
            }
            ("HEAD", path) if path.contains("/manifests/") => {
                answer(StatusCode::OK, &[("docker-content-digest", DIGEST)], "")
            }
            ("POST", _) => answer(
                StatusCode::ACCEPTED,
                &[("location", "/v2/acme/app/blobs/uploads/1")],
                "",
            ),
            ("PATCH", _) => answer(StatusCode::ACCEPTED, &[], ""),
            _ => answer(StatusCode::OK, &[], "{}"),
        }
    })
    .await;
    let policy = format!(
        r#"{{ "version": 1, "registries": [
             {{ "host": "{REGISTRY}", "repositories": ["acme/**"], "actions": ["pull", "push"], "redirect-hosts": ["{store_address}"] }},
             {{ "host": "{REGISTRY}", "repositories": ["read/**"] }} ] }}"#
    );
    let (mirror, policy, folder) = mirror(address, &policy, None);
    World {
        inspector: Inspector::new(mirror, policy),
        registry,
        store,
        _folder: folder,
    }
}

// === impl World ===

impl World {
    async fn ask(&self, method: Method, path: &str, content: &'static str) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, "Basic users-own")
            .header(header::COOKIE, "session=1")
            .header("private-token", "users-own")
            .header("x-original-url", "/v2/other/app/manifests/1")
            .header("x-http-method-override", "DELETE")
            .header("proxy-authorization", "Basic for-the-proxy")
            .body(Body::from(content))
            .unwrap();
        let response = self
            .inspector
            .respond(&REGISTRY.parse().unwrap(), 443, &Subject::Daemon, request)
            .await;
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.ask(Method::GET, path, "").await
    }
}

fn taken(seen: &Seen) -> Vec<[String; 4]> {
    std::mem::take(&mut seen.lock().unwrap())
}

#[tokio::test]
async fn the_callers_credentials_reach_the_registry_and_nobody_else() {
    let world = world().await;
    let path = format!("/v2/acme/app/blobs/{BLOB}");
    assert_eq!(world.get(&path).await, (StatusCode::OK, "blob".to_owned()));
    let expected = ["GET", path.as_str(), "Basic users-own", ""].map(str::to_owned);
    assert_eq!(taken(&world.registry), [expected]);
    assert_eq!(
        taken(&world.store),
        [["GET", "/data?signature=x", "", ""].map(str::to_owned)]
    );
}

#[tokio::test]
async fn a_redirect_to_a_host_that_nobody_named_is_refused() {
    let world = world().await;
    let (status, body) = world.get(&format!("/v2/acme/away/blobs/{BLOB}")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("redirects to `127.0.0.1:9`"), "{body}");
}

#[tokio::test]
async fn what_is_denied_reaches_nobody() {
    let world = world().await;
    for (method, path) in [
        (Method::GET, "/v2/other/app/manifests/1".to_owned()),
        (Method::HEAD, "/v2/other/app/manifests/1".to_owned()),
        (Method::GET, format!("/v2/other/app/blobs/{BLOB}")),
        (Method::PUT, "/v2/read/app/manifests/1".to_owned()),
        (Method::POST, "/v2/read/app/blobs/uploads/".to_owned()),
        (
            Method::POST,
            format!("/v2/acme/app/blobs/uploads/?mount={BLOB}&from=other/app"),
        ),
        (Method::DELETE, format!("/v2/read/app/manifests/{BLOB}")),
    ] {
        let (status, _) = world.ask(method.clone(), &path, "").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    for path in [
        "/",
        "/v2/_catalog",
        "/v1/search?q=x",
        "/token?scope=x",
        "/v2/acme/%61pp/manifests/1",
    ] {
        let (status, _) = world.get(path).await;
        assert!(status.is_client_error(), "{path}: {status}");
    }
    assert_eq!(taken(&world.registry), Vec::<[String; 4]>::new());
}

#[tokio::test]
async fn whose_connection_was_captured_is_not_taken_for_the_daemon() {
    let (address, seen) = serve(|_, _| answer(StatusCode::OK, &[], "{}")).await;
    let policy = format!(
        r#"{{ "version": 1, "registries": [{{ "host": "{REGISTRY}" }}], "subjects": {{ "require-identity": true }} }}"#
    );
    let (mirror, policy, _folder) = mirror(address, &policy, None);
    let inspector = Inspector::new(mirror, policy);
    let container = Subject::Address("172.17.0.2".parse().unwrap());
    for (subject, status) in [
        (Subject::Daemon, StatusCode::OK),
        (container, StatusCode::FORBIDDEN),
    ] {
        let request = Request::get(format!("/v2/acme/app/blobs/{BLOB}"))
            .body(Body::empty())
            .unwrap();
        let registry = REGISTRY.parse().unwrap();
        let answer = inspector.respond(&registry, 443, &subject, request).await;
        assert_eq!(answer.status(), status, "{subject:?}");
    }
    assert_eq!(taken(&seen).len(), 1);
}

#[tokio::test]
async fn an_upload_with_a_form_is_refused() {
    let world = world().await;
    for form in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-urlencoded; charset=utf-8",
        "multipart/form-data; boundary=x",
    ] {
        let request = Request::post("/v2/acme/app/blobs/uploads/")
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_TYPE, form)
            .body(Body::from(format!("mount={BLOB}&from=other/app")))
            .unwrap();
        let registry = REGISTRY.parse().unwrap();
        let response = world
            .inspector
            .respond(&registry, 443, &Subject::Daemon, request)
            .await;
        assert!(response.status().is_client_error(), "{form}");
    }
    assert_eq!(taken(&world.registry), Vec::<[String; 4]>::new());
}

/// The registry would take the start of the connection's next request for that content, and what follows in it for a request.
#[tokio::test]
async fn a_request_for_content_has_no_length_of_its_own() {
    let lengths: Arc<Mutex<Vec<bool>>> = Arc::default();
    let noted = Arc::clone(&lengths);
    let router = Router::new().fallback(move |request: Request| {
        let has = request.headers().contains_key(header::CONTENT_LENGTH);
        noted.lock().unwrap().push(has);
        async { answer(StatusCode::OK, &[], "{}") }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let policy = format!(r#"{{ "version": 1, "registries": [{{ "host": "{REGISTRY}" }}] }}"#);
    let (mirror, policy, _folder) = mirror(address, &policy, None);
    let inspector = Inspector::new(mirror, policy);
    let smuggled = "GET /v2/other/app/manifests/1 HTTP/1.1\r\n\r\n";
    for (method, path) in [
        (Method::GET, "/v2/".to_owned()),
        (Method::GET, "/v2/acme/app/tags/list".to_owned()),
        (Method::GET, format!("/v2/acme/app/blobs/{BLOB}")),
        (Method::HEAD, format!("/v2/acme/app/blobs/{BLOB}")),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_LENGTH, smuggled.len())
            .body(Body::from(smuggled))
            .unwrap();
        let registry = REGISTRY.parse().unwrap();
        inspector
            .respond(&registry, 443, &Subject::Daemon, request)
            .await;
    }
    assert_eq!(*lengths.lock().unwrap(), [false; 4]);
}

#[tokio::test]
async fn a_push_goes_through_with_its_content() {
    let world = world().await;
    let (status, _) = world
        .ask(Method::POST, "/v2/acme/app/blobs/uploads/", "")
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, _) = world
        .ask(Method::PATCH, "/v2/acme/app/blobs/uploads/1", "a layer")
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, _) = world
        .ask(Method::PUT, "/v2/acme/app/manifests/1", MANIFEST)
        .await;
    assert_eq!(status, StatusCode::OK);
    let contents: Vec<String> = taken(&world.registry)
        .into_iter()
        .map(|[.., content]| content)
        .collect();
    assert_eq!(contents, ["", "a layer", MANIFEST]);
}

#[tokio::test]
async fn manifests_are_what_their_digests_say_and_lead_nowhere_else() {
    let world = world().await;
    assert_eq!(
        world.get("/v2/acme/app/manifests/1").await,
        (StatusCode::OK, MANIFEST.to_owned())
    );
    let (status, body) = world.get(&format!("/v2/acme/app/manifests/{BLOB}")).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{body}");
    let (status, body) = world.get("/v2/acme/app/manifests/elsewhere").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("layers at other places"), "{body}");
    let (status, body) = world.get("/v2/acme/app/manifests/part").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{body}");
    assert!(!body.contains("evil.example"), "{body}");
}

#[tokio::test]
async fn who_only_looks_is_told_what_who_fetches_is_told() {
    let world = world().await;
    let look = async |path: &str| world.ask(Method::HEAD, path, "").await;
    assert_eq!(
        look("/v2/acme/app/manifests/1").await,
        (StatusCode::OK, String::new())
    );
    let (status, _) = look(&format!("/v2/acme/app/manifests/{BLOB}")).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    let asked = || -> Vec<String> {
        let seen = taken(&world.registry).into_iter();
        seen.map(|[method, ..]| method).collect()
    };
    assert_eq!(asked(), ["HEAD", "GET", "HEAD", "GET"]);
    // What is known of a digest is heard again, and not fetched again.
    for pointer in ["1", DIGEST] {
        let (status, _) = look(&format!("/v2/acme/app/manifests/{pointer}")).await;
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(asked(), ["HEAD", "HEAD"]);
    // Under another repository's name it is looked at anew.
    look("/v2/acme/other/manifests/1").await;
    assert_eq!(asked(), ["HEAD", "GET"]);
}

#[tokio::test]
async fn a_registry_is_reached_through_the_proxy_of_the_site_but_for_what_that_is_not_for() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (proxy_address, proxy) = serve(|_, _| answer(StatusCode::OK, &[], "by proxy")).await;
    let (address, registry) = serve(|_, _| answer(StatusCode::OK, &[], "directly")).await;
    let path = format!("/v2/acme/app/blobs/{BLOB}");
    for (is_direct, expected) in [(false, "by proxy"), (true, "directly")] {
        let url = format!("http://{proxy_address}").parse().unwrap();
        let site_proxy = SiteProxy::new(url, move |host, port| {
            assert_eq!((host.as_str(), port), ("127.0.0.1", address.port()));
            is_direct
        });
        let site_proxy = site_proxy.with_credentials("ramgate", "secret");
        assert!(!format!("{site_proxy:?}").contains("secret"));
        let (mirror, policy, folder) = mirror(address, r#"{ "version": 1 }"#, Some(site_proxy));
        let world = World {
            inspector: Inspector::new(mirror, policy),
            registry: Arc::clone(&registry),
            store: Arc::clone(&proxy),
            _folder: folder,
        };
        assert_eq!(
            world.get(&path).await,
            (StatusCode::OK, expected.to_owned())
        );
    }
    let through = taken(&proxy);
    assert_eq!(through.len(), 1);
    // In absolute form, with the caller's own credentials for the registry.
    assert!(through[0][1].ends_with(&path), "{through:?}");
    assert_eq!(through[0][2], "Basic users-own");
    assert_eq!(taken(&registry).len(), 1);
}

#[tokio::test]
async fn tokens_are_fetched_where_the_registry_said_that_they_are() {
    let world = world().await;
    assert!(world.get("/token?scope=x").await.0.is_client_error());
    assert_eq!(world.get("/v2/").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        world.get("/token?scope=x").await,
        (StatusCode::OK, "{}".to_owned())
    );
    assert!(world.get("/token/other").await.0.is_client_error());
}

#[tokio::test]
async fn a_probe_learns_where_a_registry_redirects_to() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (store, _) = serve(|_, _| answer(StatusCode::OK, &[], "blob")).await;
    let (address, _) = serve(move |_, path| {
        if path.contains("/manifests/") {
            let manifest = concat!(
                r#"{"schemaVersion":2,"config":{"digest":"sha256:"#,
                "fa2c8cc4f28176bbeed4b736df569a34c79cd3723e9ec42f9674b4d46ac6b8b8",
                r#""},"layers":[]}"#
            );
            return answer(StatusCode::OK, &[("content-type", MANIFEST_TYPE)], manifest);
        }
        let location = format!("http://{store}/data?signature=secret");
        answer(
            StatusCode::TEMPORARY_REDIRECT,
            &[("location", location.as_str())],
            "",
        )
    })
    .await;
    let (mirror, _, _folder) = mirror(address, r#"{ "version": 1 }"#, None);
    let reference = format!("{REGISTRY}/acme/app:1").parse().unwrap();
    assert_eq!(mirror.probe(&reference).await.unwrap(), [store.to_string()]);
}
