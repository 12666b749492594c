//! `ramgate mirror prefetch`, `export` and `import`: from a registry through one ramgate into a layout, and from there into another
//! one that reaches no registry.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../mirror/tests/protocol/fixture/registry.rs"]
mod registry;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use registry::{INDEX, Image, MANIFEST, Registry, digest};
use serde_json::{Value, json};

const DONE: i32 = 0;
const FAILED: i32 = 1;
const DENIED: i32 = 2;
const USAGE: i32 = 64;

const ALL: &str = r#"{ "version": 1 }"#;
const NO_HUB: &str = r#"{ "version": 1, "registries": [{ "host": "ghcr.io" }] }"#;

/// A host with a ramgate of its own that may or may not run.
struct Host {
    folder: tempfile::TempDir,
    address: SocketAddr,
    running: Option<Child>,
}

// === impl Host ===

impl Host {
    fn new(policy: &str, upstream: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let upstream = json!({ "url": upstream });
        let host = Self {
            folder,
            address,
            running: None,
        };
        let settings = json!({
            "policy": { "path": host.path("policy.json") },
            "state-dir": host.path("state"),
            "engine": { "socket": host.path("no-engine.sock") },
            "plugin": { "enabled": false },
            "egress": { "enabled": false },
            "mirror": {
                "listen": address.to_string(),
                "storage": format!("file://{}", host.path("mirror").display()),
                "upstreams": { "docker.io": upstream, "ghcr.io": upstream },
            },
            "audit": { "path": host.path("audit.jsonl") },
        });
        std::fs::write(host.path("settings.json"), settings.to_string()).unwrap();
        host.policy(policy);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn policy(&self, text: &str) {
        std::fs::write(self.path("policy.json"), text).unwrap();
    }

    fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_ramgate"))
            .args(["serve", "--settings"])
            .arg(self.path("settings.json"))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(self.path("serve.log")).unwrap())
            .spawn()
            .unwrap();
        self.running = Some(child);
        let started = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "ramgate does not start"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn mirror(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ramgate"))
            .arg("mirror")
            .arg("--settings")
            .arg(self.path("settings.json"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    async fn get(&self, path: &str) -> (u16, Bytes) {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let uri = format!("http://{}{path}", self.address).parse().unwrap();
        let response = client.get(uri).await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

/// An index of two platforms; the first is this host's.
fn multi(registry: &Registry, repository: &str, tag: &str) -> (Image, Image) {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let (own, other) = (
        Image::new("own", &["shared", "own"]),
        Image::new("other", &["shared", "other"]),
    );
    let entry = |image: &Image, tag: &str, architecture: &str| {
        let digest = registry.image(repository, tag, image);
        json!({ "mediaType": MANIFEST, "digest": digest, "size": image.manifest.len(),
            "platform": { "os": "linux", "architecture": architecture } })
    };
    let entries = [entry(&own, "x", architecture), entry(&other, "y", "s390x")];
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    registry.manifest(repository, tag, INDEX, &index.to_string());
    (own, other)
}

fn blobs_of(requests: &[String]) -> usize {
    let fetched = |request: &&String| request.starts_with("GET") && request.contains("/blobs/");
    requests.iter().filter(fetched).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn prefetch_fetches_what_is_not_there_and_only_that() {
    let registry = Registry::start().await;
    multi(&registry, "library/multi", "1");
    let mut host = Host::new(ALL, registry.url());
    let nobody = host.mirror(&["prefetch", "multi:1"]);
    let (_, said) = ended(&nobody, FAILED);
    assert!(
        said.contains("no mirror answers at 127.0.0.1:") && said.contains("ramgate serve"),
        "{said}"
    );

    host.start();
    registry.requests();
    let (said, _) = ended(&host.mirror(&["prefetch", "--dry-run", "multi:1"]), DONE);
    assert!(
        said.contains("docker.io/library/multi:1: 3 blobs") && said.contains(&digest(b"own")),
        "{said}"
    );
    assert_eq!(
        blobs_of(&registry.requests()),
        0,
        "a dry run fetches no blob"
    );

    let (said, _) = ended(&host.mirror(&["prefetch", "multi:1"]), DONE);
    assert!(
        said.contains("3 blobs") && !said.contains("fetched 0 B"),
        "{said}"
    );
    assert_eq!(blobs_of(&registry.requests()), 3);
    // The mirror keeps what it streams a moment after its last byte has gone out.
    let list = host.path("list.txt");
    std::fs::write(&list, "# what we need\n\n multi:1 \n").unwrap();
    let again = host.mirror(&["prefetch", "--json", "--from", list.to_str().unwrap()]);
    let answer: Value = serde_json::from_str(&ended(&again, DONE).0).unwrap();
    assert_eq!(
        (&answer[0]["image"], &answer[0]["fetched"]),
        (&json!("docker.io/library/multi:1"), &json!(0))
    );
    assert_eq!(blobs_of(&registry.requests()), 0, "it was there already");

    // The other platform has one layer in common.
    ended(
        &host.mirror(&["prefetch", "--platform", "all", "multi:1"]),
        DONE,
    );
    assert_eq!(blobs_of(&registry.requests()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn prefetch_is_judged_and_says_all_that_is_wrong() {
    let registry = Registry::start().await;
    registry.image("acme/app", "1", &Image::new("app", &["a"]));
    let mut host = Host::new(NO_HUB, registry.url());
    host.start();
    let (out, err) = ended(
        &host.mirror(&["prefetch", "alpine:3", "ghcr.io/acme/app:1"]),
        DENIED,
    );
    assert!(
        err.contains("docker.io/library/alpine:3: denied: Access to docker.io has been restricted"),
        "{err}"
    );
    assert!(
        out.contains("ghcr.io/acme/app:1: 2 blobs"),
        "the other one is fetched all the same: {out}"
    );
    let (_, err) = ended(&host.mirror(&["prefetch", "ghcr.io/acme/none:1"]), FAILED);
    assert!(err.contains("the upstream does not have it"), "{err}");
    let (_, err) = ended(
        &host.mirror(&["prefetch", "Nonsense", "a b", "--platform", "x"]),
        USAGE,
    );
    assert!(
        err.contains("`Nonsense`") && err.contains("`a b`") && err.contains("`x` is no platform"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_imported_where_there_is_no_registry() {
    let registry = Registry::start().await;
    let (own, _) = multi(&registry, "library/multi", "1");
    registry.image("acme/app", "1", &Image::new("app", &["a"]));
    let mut here = Host::new(ALL, registry.url());
    here.start();
    let (folder, archive) = (here.path("layout"), here.path("images.tar"));
    for to in [&folder, &archive] {
        let to = to.to_str().unwrap();
        ended(
            &here.mirror(&["export", "multi:1", "ghcr.io/acme/app:1", "--to", to]),
            DONE,
        );
        // Again: nothing changes, and nothing is asked for twice.
        ended(&here.mirror(&["export", "multi:1", "--to", to]), DONE);
    }
    let index: Value =
        serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let names: Vec<&Value> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["annotations"]["org.opencontainers.image.ref.name"])
        .collect();
    assert_eq!(
        names,
        [
            &json!("ghcr.io/acme/app:1"),
            &json!("docker.io/library/multi:1")
        ]
    );
    let layer = folder.join("blobs").join(digest(b"own").replace(':', "/"));
    assert_eq!(std::fs::read(layer).unwrap(), b"own");

    ended(
        &here.mirror(&[
            "export",
            "multi:1",
            "ghcr.io/acme/app:1",
            "--to",
            archive.to_str().unwrap(),
        ]),
        DONE,
    );
    let index = registry_index(&registry).await;
    for (source, runs) in [(&archive, true), (&folder, false)] {
        // Port 9 of loopback: nobody answers.
        let mut there = Host::new(ALL, "http://127.0.0.1:9");
        import_twice(&mut there, source.to_str().unwrap(), runs);
        serves(&there, &own, &index).await;
    }
}

/// Beside a ramgate that runs, or before it does.
fn import_twice(there: &mut Host, source: &str, runs: bool) {
    if runs {
        there.start();
    }
    let (said, _) = ended(&there.mirror(&["import", source]), DONE);
    assert!(
        said.contains("docker.io/library/multi:1: 2 manifests, 3 blobs"),
        "{said}"
    );
    let (said, _) = ended(&there.mirror(&["import", source]), DONE);
    assert!(said.contains("0 blobs, 3 there already"), "{said}");
    if !runs {
        there.start();
    }
}

async fn serves(there: &Host, own: &Image, index: &Bytes) {
    assert_eq!(
        there.get("/v2/library/multi/manifests/1").await,
        (200, index.clone())
    );
    let child = format!(
        "/v2/library/multi/manifests/{}",
        digest(own.manifest.as_bytes())
    );
    assert_eq!(there.get(&child).await.1, own.manifest);
    for blob in own.layers.iter().chain([&own.config]) {
        let path = format!("/v2/library/multi/blobs/{}", digest(blob));
        assert_eq!(there.get(&path).await, (200, blob.clone()));
    }
    // Only there: another repository does not have it.
    let elsewhere = format!("/v2/ghcr.io/acme/app/blobs/{}", digest(b"own"));
    assert_ne!(there.get(&elsewhere).await.0, 200);
}

async fn registry_index(registry: &Registry) -> Bytes {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("{}/v2/library/multi/manifests/1", registry.url())
        .parse()
        .unwrap();
    let response = client.get(uri).await.unwrap();
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_is_judged_verified_and_known_by_where_it_is_from() {
    let registry = Registry::start().await;
    let tool = Image::new("tool", &["layer"]);
    registry.image("evil/tool", "1", &tool);
    registry.image("acme/copy", "1", &tool);
    registry.image("acme/copy", "packed-anew", &tool.repacked());
    let mut here = Host::new(ALL, registry.url());
    here.start();
    let layout = here.path("layout");
    let to = layout.to_str().unwrap();
    ended(&here.mirror(&["export", "evil/tool:1", "--to", to]), DONE);

    // Not allowed: nothing of it is taken in.
    let denying = Host::new(NO_HUB, registry.url());
    let (_, err) = ended(&denying.mirror(&["import", to]), DENIED);
    assert!(
        err.contains("docker.io/evil/tool:1: denied: Access to docker.io"),
        "{err}"
    );
    assert!(!denying.path("mirror/blobs/sha256").exists());

    // Allowed, and no more: a copy elsewhere is known for what it is.
    let mut there = Host::new(ALL, registry.url());
    ended(&there.mirror(&["import", to]), DONE);
    there.policy(NO_HUB);
    there.start();
    assert_eq!(there.get("/v2/evil/tool/manifests/1").await.0, 403);
    for tag in ["1", "packed-anew"] {
        let path = format!("/v2/ghcr.io/acme/copy/manifests/{tag}");
        assert_eq!(there.get(&path).await.0, 403);
    }

    // What was changed on the way is refused.
    let blob = layout
        .join("blobs")
        .join(digest(b"layer").replace(':', "/"));
    std::fs::write(&blob, "lay3r").unwrap();
    let fresh = Host::new(ALL, registry.url());
    let (_, err) = ended(&fresh.mirror(&["import", to]), FAILED);
    assert!(err.contains("not what its digest says"), "{err}");
    std::fs::remove_file(&blob).unwrap();
    let (_, err) = ended(&fresh.mirror(&["import", to]), FAILED);
    assert!(
        err.contains(&format!("the layout does not have {}", digest(b"layer"))),
        "{err}"
    );
    let (_, err) = ended(&fresh.mirror(&["import", "/nowhere"]), FAILED);
    assert!(err.contains("/nowhere"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_being_sent_comes_to_its_end_when_ramgate_stops() {
    let registry = Registry::start().await;
    // More than sockets hold.
    let large = Bytes::from(vec![7; 64 * 1024 * 1024]);
    let path = format!("/v2/acme/app/blobs/{}", registry.blob("acme/app", &large));
    let mut host = Host::new(ALL, registry.url());
    host.start();
    assert_eq!(host.get(&path).await.0, 200);

    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{}{path}", host.address).parse().unwrap();
    let mut body = client.get(uri).await.unwrap().into_body();
    let mut size = body
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap()
        .len();
    let pid = host.running.as_ref().unwrap().id().to_string();
    let asked = Instant::now();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    // Past what other connections are given.
    tokio::time::sleep(Duration::from_secs(6)).await;
    while let Some(frame) = body.frame().await {
        size += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(size, large.len());
    let status = host.running.take().unwrap().wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(15), "it lingers");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_wait_for_nothing_do_not_hold_ramgate_up() {
    let registry = Registry::start().await;
    registry.image("acme/app", "1", &Image::new("app", &["a"]));
    let mut host = Host::new(ALL, registry.url());
    host.start();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{}/v2/acme/app/manifests/1", host.address)
        .parse()
        .unwrap();
    let response = client.get(uri).await.unwrap();
    response.into_body().collect().await.unwrap();
    let pid = host.running.as_ref().unwrap().id().to_string();
    let asked = Instant::now();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let status = host.running.take().unwrap().wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    drop(client);
}
