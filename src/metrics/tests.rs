//! The endpoint over a real socket.

use std::net::SocketAddr;
use std::path::PathBuf;

use ramgate_provenance::{Record, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener};

use super::*;

/// An endpoint and what it tells of.
struct Endpoint {
    address: SocketAddr,
    readiness: Readiness,
    shutdown: CancellationToken,
    _directory: tempfile::TempDir,
}

impl Endpoint {
    async fn start(policy: &str, gates: Vec<Gate>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.json");
        std::fs::write(&path, policy).unwrap();
        let policy = LivePolicy::load(&path, Vec::new()).unwrap();
        let ledger = Arc::new(Ledger::in_memory().unwrap());
        let id = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        ledger.learn(&id, Record::new(Way::Load, 1)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self {
            address: listener.local_addr().unwrap(),
            readiness: Readiness::starting(gates),
            shutdown: CancellationToken::new(),
            _directory: directory,
        };
        policy.metrics().reloaded(false);
        tokio::spawn(serve(
            listener,
            registry(&policy, &ledger),
            endpoint.readiness.clone(),
            endpoint.shutdown.clone(),
        ));
        endpoint
    }

    /// Status line and everything after it, as it came.
    async fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: ramgate\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (status, rest) = answer.split_once("\r\n").unwrap();
        (status.to_owned(), rest.to_owned())
    }

    async fn check_ready(&self, status: &str, body: &str) {
        let (seen, rest) = self.get("/readyz").await;
        assert!(seen.ends_with(status), "{seen}: {rest}");
        let (_, shown) = rest.split_once("\r\n\r\n").unwrap();
        assert!(shown.starts_with(body), "{shown}");
    }
}

#[tokio::test]
async fn metrics_tell_of_build_policy_and_ledger() {
    let endpoint = Endpoint::start(r#"{ "version": 1, "mode": "audit" }"#, Vec::new()).await;
    let (status, rest) = endpoint.get("/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(
        rest.contains("content-type: application/openmetrics-text"),
        "{rest}"
    );
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        &format!(r#"ramgate_build_info{{version="{version}"}} 1"#),
        r#"ramgate_policy_reloads_total{result="failed"} 1"#,
        r#"ramgate_policy_reloads_total{result="ok"} 0"#,
        "ramgate_policy_file_in_force 0",
        "ramgate_policy_audit_mode 1",
        "ramgate_ledger_records 1",
        "# EOF",
    ] {
        assert!(rest.lines().any(|shown| shown == line), "{line}\n{rest}");
    }
}

#[tokio::test]
async fn ready_is_when_every_gate_takes_connections() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ramgate.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let gates = vec![
        Gate::Tcp("mirror.listen", address),
        Gate::Unix("plugin.socket", path.clone()),
    ];
    let endpoint = Endpoint::start(r#"{ "version": 1 }"#, gates).await;
    endpoint
        .check_ready("503 Service Unavailable", "starting")
        .await;
    endpoint.readiness.started();
    endpoint.check_ready("200 OK", "ready").await;

    drop(tcp);
    let lost = format!("mirror.listen: nobody answers at {address}");
    endpoint.check_ready("503 Service Unavailable", &lost).await;
    let _tcp = TcpListener::bind(address).await.unwrap();
    endpoint.check_ready("200 OK", "ready").await;

    // Somebody removes the socket, and the daemon no longer finds the plugin.
    std::fs::remove_file(&path).unwrap();
    let lost = format!("plugin.socket: nobody answers at {}", path.display());
    endpoint.check_ready("503 Service Unavailable", &lost).await;
    drop(unix);

    endpoint.readiness.stopping();
    endpoint
        .check_ready("503 Service Unavailable", "stopping")
        .await;
}

#[tokio::test]
async fn alive_is_not_ready() {
    let gone = PathBuf::from("/nonexistent/ramgate.sock");
    let gates = vec![Gate::Unix("plugin.socket", gone)];
    let endpoint = Endpoint::start(r#"{ "version": 1 }"#, gates).await;
    let (status, _) = endpoint.get("/healthz").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let (status, _) = endpoint.get("/else").await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    endpoint.shutdown.cancel();
}
