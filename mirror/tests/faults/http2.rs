//! TLS, HTTP/2 and kept connections, with a server of their own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ramgate_mirror::Upstream as Place;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::stage::{MANIFEST, OCI, REGISTRY, Stage};

struct Server {
    address: SocketAddr,
    pem: String,
    connections: Arc<AtomicUsize>,
    versions: Arc<Mutex<Vec<Version>>>,
}

/// A registry behind TLS that offers `protocols`.
async fn server(protocols: &[&str]) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let versions: Arc<Mutex<Vec<Version>>> = Arc::default();
    let (counter, noted) = (Arc::clone(&connections), Arc::clone(&versions));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let is_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = service_fn(move |request: Request<Incoming>| {
                    noted.lock().unwrap().push(request.version());
                    async { Ok::<_, Infallible>(respond()) }
                });
                let stream = TokioIo::new(stream);
                if is_2 {
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(stream, service)
                        .await;
                } else {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(stream, service)
                        .await;
                }
            });
        }
    });
    Server {
        address,
        pem: pem(cert.der()),
        connections,
        versions,
    }
}

fn respond() -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", OCI)
        .body(Full::from(MANIFEST))
        .unwrap()
}

fn pem(certificate: &[u8]) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n")
}

async fn stage(server: &Server, authority: Option<&str>) -> Stage {
    let url = format!("https://localhost:{}", server.address.port());
    let place = Place {
        ca_pem: authority.map(|pem| pem.as_bytes().to_vec()),
        ..Place::new(url.parse().unwrap())
    };
    Stage::with(
        |_| Vec::new(),
        &[],
        |config, _| {
            config.upstreams.insert(REGISTRY.parse().unwrap(), place);
        },
    )
    .await
}

#[tokio::test]
async fn an_upstream_that_speaks_http_2_is_asked_over_one_connection() {
    let server = server(&["h2", "http/1.1"]).await;
    let stage = stage(&server, Some(&server.pem)).await;
    assert_eq!(stage.get("manifests/0").await.status, 200);
    let gets: Vec<String> = (1..20)
        .map(|number| format!("manifests/{number}"))
        .collect();
    let answers = futures_util::future::join_all(gets.iter().map(|tail| stage.get(tail))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let versions = server.versions.lock().unwrap().clone();
    assert_eq!(versions, vec![Version::HTTP_2; 20]);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_of_http_1_is_kept_for_the_next_request() {
    let server = server(&["http/1.1"]).await;
    let stage = stage(&server, Some(&server.pem)).await;
    for number in 0..5 {
        assert_eq!(stage.get(&format!("manifests/{number}")).await.status, 200);
    }
    let versions = server.versions.lock().unwrap().clone();
    assert_eq!(versions, vec![Version::HTTP_11; 5]);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_upstream_of_an_unknown_authority_gets_no_request() {
    let server = server(&["h2"]).await;
    for authority in [None, Some(crate::http2::server(&["h2"]).await.pem)] {
        let stage = stage(&server, authority.as_deref()).await;
        assert_eq!(stage.get("manifests/1").await.status, 502);
        stage.logged("certificate");
    }
    assert!(server.versions.lock().unwrap().is_empty());
}
