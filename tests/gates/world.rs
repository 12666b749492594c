//! The gates, made as `serve` makes them, over one policy, one catalogue and one ledger.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ramgate_catalog::Catalog;
use ramgate_egress::{Egress, NoProxy, UpstreamProxy};
use ramgate_mirror::{Config, Inspector, Mirror, Place, Storage, Upstream};
use ramgate_plugin::{Authorizer, Engine, Gates, Identity, Registrar};
use ramgate_policy::{Policy, Repository, Steering, Subject};
use ramgate_provenance::{Canaries, Delegations, Ledger, Record, Way};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{Sight, engine, registry};

/// All gates, before one engine.
pub(crate) struct World {
    policy: Arc<ArcSwap<Policy>>,
    judging: Arc<Policy>,
    ledger: Arc<Ledger>,
    mirror: Mirror,
    inspector: Inspector,
    egress: SocketAddr,
    authorizer: Authorizer,
    present: engine::Present,
    folder: tempfile::TempDir,
}

/// One question, and what each caller is told.
pub(crate) struct Row {
    pub(crate) question: &'static str,
    pub(crate) sight: Sight,
    pub(crate) cells: Vec<Cell>,
}

/// An answer; `Some` text is a refusal.
#[derive(Clone, Debug)]
pub(crate) struct Cell(Option<String>);

/// What a request to the engine does.
#[derive(Clone, Copy)]
enum Deed {
    Pull,
    Create,
    Start,
    Service,
    Build,
}

// === impl World ===

impl World {
    pub(crate) async fn new(policy: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let judging = Arc::new(Policy::parse(policy).unwrap());
        let policy = Arc::new(ArcSwap::new(Arc::clone(&judging)));
        let catalog = Catalog::open(ramgate_catalog::Config {
            url: Some(format!("http://{}", registry::hub().await).parse().unwrap()),
            patience: Duration::from_secs(10),
            ..ramgate_catalog::Config::default()
        })
        .unwrap();
        let (canaries, delegations) = (Canaries::default(), Delegations::default());
        let ledger = Arc::new(Ledger::in_memory().unwrap());

        let upstream = format!("http://{}", registry::registry().await);
        let upstreams = ["docker.io", "mirror.gcr.io", "harbor.site.example"].map(|host| {
            let upstream = Upstream::new(upstream.parse().unwrap());
            (host.parse().unwrap(), upstream)
        });
        let storage = Storage {
            place: Place::Directory(folder.path().join("mirror")),
            max_size_bytes: None,
            pins: Vec::new(),
        };
        let config = Config {
            upstreams: BTreeMap::from(upstreams),
            canaries: canaries.clone(),
            delegations: delegations.clone(),
            ..Config::new(storage)
        };
        let mirror = Mirror::new(config, Arc::clone(&policy), Arc::clone(&ledger)).unwrap();
        let mirror = mirror.with_catalog(catalog.clone());
        let mirror_address = SocketAddr::from(([127, 0, 0, 1], 5050));
        let egress = egress(&policy, canaries.clone()).await;

        let socket = folder.path().join("engine.sock");
        let present = engine::serve(&socket, mirror_address, egress);
        let engine = Engine::new(&socket);
        let hosts = folder.path().join("certs.d");
        let gates = Gates::new(
            engine.clone(),
            Some(mirror_address),
            Some(egress),
            hosts,
            canaries,
        );
        let registrar = Registrar::new(engine, gates, Arc::clone(&ledger)).unwrap();
        let identity = Identity::new(registrar.clone()).with_catalog(catalog.clone());
        let authorizer = Authorizer::new(Arc::clone(&policy), registrar, identity)
            .with_catalog(catalog)
            .with_delegations(delegations);
        Self {
            inspector: Inspector::new(mirror.clone(), Arc::clone(&policy)),
            policy,
            judging,
            ledger,
            mirror,
            egress,
            authorizer,
            present,
            folder,
        }
    }

    /// All rows of the image `name`.
    pub(crate) async fn ask(&self, name: &str, callers: &[&str]) -> Vec<Row> {
        let (host, path) = name.split_once('/').unwrap();
        let image = registry::blob(path);
        self.fill(host, path, &image).await;
        let manifest = format!("/v2/{path}/manifests/1");
        let blob = format!("/v2/{path}/blobs/{image}");
        let mut rows = self.at_the_engine(name, &image, callers).await;
        rows.extend(self.at_the_mirror(name, &manifest, &blob, callers).await);
        let registry = match host {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        for (question, what) in [
            ("inspection: manifest", &manifest),
            ("inspection: blob", &blob),
        ] {
            let host = registry.parse().unwrap();
            let answer = self
                .inspector
                .respond(&host, 443, &Subject::Daemon, get(what))
                .await;
            let cells = vec![Cell::of(answer).await; callers.len()];
            rows.push(Row::new(question, Sight::Daemon, cells));
        }
        let line = engine::connect(self.egress, &format!("{registry}:443")).await;
        let cells = vec![Cell::of_line(&line); callers.len()];
        rows.push(Row::new("network gate: tunnel", Sight::Host, cells));
        rows
    }

    async fn at_the_engine(&self, name: &str, image: &str, callers: &[&str]) -> Vec<Row> {
        let mut rows = Vec::new();
        for (question, deed, is_here) in [
            ("engine gate: pull", Deed::Pull, false),
            ("engine gate: create", Deed::Create, false),
            ("engine gate: service", Deed::Service, false),
            ("engine gate: create, image on the host", Deed::Create, true),
            ("engine gate: start, image on the host", Deed::Start, true),
            ("engine gate: build, image on the host", Deed::Build, true),
        ] {
            self.present.set(is_here.then_some((name, image)));
            let mut cells = Vec::new();
            for caller in callers {
                cells.push(self.engine(deed, name, caller).await);
            }
            rows.push(Row::new(question, Sight::Caller, cells));
        }
        self.present.set(None);
        rows
    }

    async fn at_the_mirror(
        &self,
        name: &str,
        manifest: &str,
        blob: &str,
        callers: &[&str],
    ) -> Vec<Row> {
        let (host, _) = name.split_once('/').unwrap();
        let mut rows = Vec::new();
        for (question, what, sight) in [
            ("registry gate: manifest", manifest, Sight::Daemon),
            ("registry gate: cached blob", blob, Sight::Daemon),
            ("registry gate: manifest, in a pull", manifest, Sight::Pull),
            ("registry gate: cached blob, in a pull", blob, Sight::Pull),
        ] {
            let mut cells = Vec::new();
            for caller in callers {
                let pull = message(Deed::Pull, name, caller);
                if sight == Sight::Pull {
                    let _ = self.authorizer.authorize(&pull).await;
                }
                let request = get(&format!("{what}?ns={host}"));
                cells.push(Cell::of(self.mirror.respond(request).await).await);
                if sight == Sight::Pull {
                    self.authorizer.carried_out(&pull).await;
                }
            }
            rows.push(Row::new(question, sight, cells));
        }
        rows
    }

    /// The mirror has fetched the image while everything was allowed, and so has the engine.
    async fn fill(&self, host: &str, path: &str, image: &str) {
        let open = Policy::parse(r#"{ "version": 1 }"#).unwrap();
        self.policy.store(Arc::new(open));
        for what in ["manifests/1".to_owned(), format!("blobs/{image}")] {
            let request = get(&format!("/v2/{path}/{what}?ns={host}"));
            let cell = Cell::of(self.mirror.respond(request).await).await;
            assert!(cell.is_allowed(), "{host}/{path}: {cell:?}");
        }
        self.policy.store(Arc::clone(&self.judging));
        let repository: Repository = format!("{host}/{path}").parse().unwrap();
        let mut record = Record::new(Way::Pull, 1);
        record.origins.insert(repository);
        self.ledger.learn(&image.parse().unwrap(), record).unwrap();
        assert!(self.folder.path().join("mirror").exists());
    }

    async fn engine(&self, deed: Deed, name: &str, caller: &str) -> Cell {
        let message = message(deed, name, caller);
        // What was remembered of other images is forgotten, as when the engine says that something was carried out.
        self.authorizer
            .carried_out(&self::message(Deed::Pull, name, caller))
            .await;
        let answer = self.authorizer.authorize(&message).await;
        self.authorizer.carried_out(&message).await;
        if answer.is_allowed() {
            return Cell(None);
        }
        let said: serde_json::Value = serde_json::from_slice(&answer.to_json()).unwrap();
        Cell::refusal(said["Msg"].as_str().unwrap())
    }
}

/// The network gate, behind a site's proxy that is away: whatever it permits ends there.
async fn egress(policy: &Arc<ArcSwap<Policy>>, canaries: Canaries) -> SocketAddr {
    let steering = Steering {
        docker_hub_by_mirror: true,
        inspect: false,
    };
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = away.local_addr().unwrap().port();
    let config = ramgate_egress::Config {
        canaries,
        upstream_proxy: Some(UpstreamProxy::new(
            "127.0.0.1".parse().unwrap(),
            port,
            NoProxy::default(),
        )),
        ..ramgate_egress::Config::new(steering)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let egress = Egress::new(Arc::clone(policy), config);
    tokio::spawn(ramgate_egress::serve(
        listener,
        egress,
        CancellationToken::new(),
    ));
    address
}

fn get(target: &str) -> Request<Body> {
    Request::get(target).body(Body::empty()).unwrap()
}

/// An AuthZReq as dockerd writes it.
fn message(deed: Deed, name: &str, caller: &str) -> Vec<u8> {
    let (target, body) = match deed {
        Deed::Pull => (format!("/v1.41/images/create?fromImage={name}&tag=1"), None),
        Deed::Create => (
            "/v1.41/containers/create".to_owned(),
            Some(json!({ "Image": format!("{name}:1") })),
        ),
        Deed::Start => (
            format!("/v1.41/containers/{}/start", engine::CONTAINER),
            None,
        ),
        Deed::Service => (
            "/v1.41/services/create".to_owned(),
            Some(
                json!({ "Name": "s", "TaskTemplate": { "ContainerSpec": { "Image": format!("{name}:1") } } }),
            ),
        ),
        Deed::Build => ("/v1.41/build?t=own".to_owned(), None),
    };
    let body = body.map(|body| body.to_string());
    let length = body.as_ref().map_or(0, String::len).to_string();
    let kind = match (deed, &body) {
        (Deed::Build, _) => "application/x-tar",
        (_, Some(_)) => "application/json",
        (_, None) => "text/plain",
    };
    let mut message = json!({
        "User": caller,
        "UserAuthNMethod": if caller.is_empty() { "" } else { "TLS" },
        "RequestMethod": "POST",
        "RequestUri": target,
        "RequestHeaders": { "Content-Length": length, "Content-Type": kind },
    });
    if let Some(body) = body {
        message["RequestBody"] = json!(STANDARD.encode(body));
    }
    message.to_string().into_bytes()
}

// === impl Row ===

impl Row {
    const fn new(question: &'static str, sight: Sight, cells: Vec<Cell>) -> Self {
        Self {
            question,
            sight,
            cells,
        }
    }
}

// === impl Cell ===

impl Cell {
    pub(crate) const fn is_allowed(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// A refusal, without the ID that each has of its own.
    fn refusal(text: &str) -> Self {
        let text = text.rsplit_once(" (id ").map_or(text, |(text, _)| text);
        Self(Some(text.to_owned()))
    }

    /// The registry gate's answer, to its last byte.
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&body);
        match parts.status {
            StatusCode::OK => Self(None),
            StatusCode::FORBIDDEN => {
                let said: serde_json::Value = serde_json::from_str(&text).unwrap();
                Self::refusal(said["errors"][0]["message"].as_str().unwrap())
            }
            status => panic!("{status}: {text}"),
        }
    }

    /// The network gate's: refused, or permitted and then not reached.
    fn of_line(line: &str) -> Self {
        if let Some(reason) = line.strip_prefix("HTTP/1.1 403 ") {
            return Self::refusal(reason);
        }
        assert!(line.starts_with("HTTP/1.1 502 "), "{line}");
        Self(None)
    }
}
