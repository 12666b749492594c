//! Tunnels to registries, read.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use ramgate_egress::{Authority, Inspect, Inspected, Inspection, NewAuthority};
use ramgate_policy::Subject;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::recorder;
use crate::support::{Gate, PATIENCE, connect_to, policy_of, status_line};

/// Answers with the host that it was told and the path that was asked for.
fn inspect() -> Inspect {
    Inspect::new(tower::service_fn(|request: Request<Incoming>| async move {
        let Inspected {
            host,
            port,
            subject,
        } = request.extensions().get().cloned().unwrap();
        assert_eq!(subject, Subject::Daemon);
        let text = format!("{} {host}:{port}", request.uri());
        let body = Full::from(text)
            .map_err(|never| match never {})
            .boxed_unsync();
        Ok::<_, Infallible>(Response::new(body))
    }))
}

/// A gate that reads what goes to ghcr.io, and whoever trusts its authority, which is good for `hosts`.
async fn gate(hosts: &[&str]) -> (Gate, TlsConnector) {
    let hosts: Vec<_> = hosts.iter().map(|host| host.parse().unwrap()).collect();
    let made = NewAuthority::make(&hosts, now()).unwrap();
    let authority = Authority::read(&made.certificate, &made.key).unwrap();
    let gate = Gate::serve_with(&policy_of(&[]), |config| {
        config.steering.inspect = true;
        config.inspection = Some(Inspection::new(Arc::new(authority), inspect()));
    })
    .await;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (gate, TlsConnector::from(Arc::new(config)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates are checked by the real clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

async fn ask(
    gate: &Gate,
    connector: &TlsConnector,
    name: &str,
    host: &str,
) -> std::io::Result<String> {
    let mut client = gate.connect().await;
    client.write(&connect_to("ghcr.io:443")).await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 200 "));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = connector.connect(name, client.into_stream()).await?;
    let request = format!("GET /v2/?x=y HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .unwrap()?;
    Ok(answer)
}

#[tokio::test]
async fn a_request_is_read_and_given_with_the_host_of_its_tunnel() {
    let (gate, connector) = gate(&["ghcr.io"]).await;
    for host in ["ghcr.io", "GHCR.io:443"] {
        let answer = ask(&gate, &connector, "ghcr.io", host).await.unwrap();
        assert!(answer.ends_with("\r\n\r\n/v2/?x=y ghcr.io:443"), "{answer}");
    }
    let answer = ask(&gate, &connector, "ghcr.io", "evil.example")
        .await
        .unwrap();
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
}

#[tokio::test]
async fn a_tunnel_that_names_another_host_is_refused() {
    let (gate, connector) = gate(&["ghcr.io"]).await;
    let error = ask(&gate, &connector, "evil.example", "ghcr.io")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    recorder::last_event().check(&[("decision", "deny"), ("reason", "server-name-differs")]);
}

#[tokio::test]
async fn the_authority_is_good_for_its_own_registries_alone() {
    let (gate, connector) = gate(&["quay.io"]).await;
    let error = ask(&gate, &connector, "ghcr.io", "ghcr.io")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("NameConstraint"), "{error}");
}

#[tokio::test]
async fn what_is_no_tls_is_not_read() {
    let (gate, _) = gate(&["ghcr.io"]).await;
    let mut client = gate.connect().await;
    client.write(&connect_to("ghcr.io:443")).await;
    client.read_head().await;
    client
        .write("GET /v2/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n")
        .await;
    let answer = client.read_to_end().await;
    assert!(!answer.contains("ghcr.io:443"), "{answer}");
}

#[tokio::test]
async fn without_what_reads_nothing_passes() {
    let gate = Gate::serve_with(&policy_of(&[]), |config| config.steering.inspect = true).await;
    let answer = gate.ask(&connect_to("ghcr.io:443")).await;
    assert!(
        status_line(&answer).contains("inspection is not set up"),
        "{answer}"
    );
}
