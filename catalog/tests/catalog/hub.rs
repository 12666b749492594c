//! A server with the shapes of Docker Hub's API, which counts what it is asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use ramgate_catalog::{Catalog, Config};
use ramgate_policy::{Action, Decision, Policy, Request, Subject};

/// What stands for Docker Hub. It knows `grafana` (verified publisher), `debezium` (sponsored open source), `acme` (an
/// organization without a badge), `torvalds` (a user), and nobody else.
#[derive(Clone, Default)]
pub(crate) struct Hub {
    asked: Arc<Mutex<Vec<String>>>,
    odd: Arc<Mutex<HashMap<String, Odd>>>,
}

/// An answer for one namespace that is not as usual.
#[derive(Clone)]
pub(crate) enum Odd {
    Badge(&'static str),
    Status(StatusCode, Vec<(&'static str, String)>),
    Body(&'static str),
    Slow(Duration),
    Huge,
}

impl Hub {
    /// Starts to listen on a port of its own.
    pub(crate) async fn start(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v2/orgs/{namespace}/", get(organization))
            .route(
                "/v2/users/{namespace}/",
                get(|| async { "a user; nobody should ask" }),
            )
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    pub(crate) fn answer(&self, namespace: &str, odd: Odd) {
        self.odd.lock().unwrap().insert(namespace.to_owned(), odd);
    }

    /// The namespaces that were asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn organization(State(hub): State<Hub>, Path(namespace): Path<String>) -> Response<Body> {
    hub.asked.lock().unwrap().push(namespace.clone());
    let odd = hub.odd.lock().unwrap().get(&namespace).cloned();
    let json = |text: String| {
        Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(text))
            .unwrap()
    };
    match (odd, namespace.as_str()) {
        (Some(Odd::Badge(badge)), _) => json(object(&namespace, badge)),
        (Some(Odd::Status(status, headers)), _) => {
            let mut answer = Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(name, value);
            }
            answer.body(Body::from("{\"message\":\"no\"}")).unwrap()
        }
        (Some(Odd::Body(text)), _) => json(text.to_owned()),
        (Some(Odd::Slow(wait)), _) => {
            tokio::time::sleep(wait).await;
            json(object(&namespace, "verified_publisher"))
        }
        (Some(Odd::Huge), _) => json(format!(
            "{{\"orgname\":\"{namespace}\",\"badge\":\"verified_publisher\",\"full_name\":\"{}\"}}",
            "x".repeat(1 << 20)
        )),
        (None, "grafana") => json(object(&namespace, "verified_publisher")),
        (None, "debezium") => json(object(&namespace, "open_source")),
        (None, "acme") => json(object(&namespace, "")),
        (None, "torvalds") => Response::builder()
            .status(StatusCode::FOUND)
            .header(header::LOCATION, "/v2/users/torvalds/")
            .body(Body::empty())
            .unwrap(),
        (None, _) => Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body(Body::from(
                "{\"message\":\"object not found\",\"errinfo\":{}}",
            ))
            .unwrap(),
    }
}

/// The shape of an organization as Docker Hub answers it.
fn object(namespace: &str, badge: &str) -> String {
    format!(
        "{{\"id\":\"0d1c2b3a\",\"uuid\":\"0d1c2b3a\",\"orgname\":\"{namespace}\",\"full_name\":\"{namespace}\",\
         \"location\":\"\",\"company\":\"\",\"profile_url\":\"\",\"date_joined\":\"2015-03-26T16:43:17Z\",\
         \"gravatar_url\":\"\",\"gravatar_email\":\"\",\"type\":\"Organization\",\"badge\":\"{badge}\",\"is_active\":true}}"
    )
}

/// Settings for a catalogue that asks `address`.
pub(crate) fn config(address: SocketAddr) -> Config {
    // TLS needs a provider for the process, even where it is not used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Config {
        url: Some(format!("http://{address}").parse().unwrap()),
        // Longer than a busy machine takes for any answer here.
        patience: Duration::from_secs(10),
        ..Config::default()
    }
}

pub(crate) fn policy() -> Policy {
    Policy::parse(
        r#"{ "version": 1, "docker-hub": { "official": "allow", "verified-publisher": "allow",
             "organizations": ["own"], "repositories": ["listed/app"] } }"#,
    )
    .unwrap()
}

/// `allow` or the denial's text.
pub(crate) async fn pull(catalog: &Catalog, policy: &Policy, reference: &str) -> String {
    let repository = reference.parse().unwrap();
    let request = Request {
        repository: &repository,
        action: Action::Pull,
        subject: &Subject::Daemon,
    };
    match catalog.evaluate(policy, &request).await {
        Decision::Allow(permit) => permit.grant().rule().to_owned(),
        Decision::Deny(denial) => denial.to_string(),
    }
}
