//! What a client begins with inside of a tunnel.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::recorder;
use crate::support::{Gate, PATIENCE, Target, connect_to, policy_of_registry};

/// A fatal `access_denied`.
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 49];

/// What rustls sends to `name`, or to an address, which is not sent.
fn hello(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// `hello`, with the extension of Encrypted Client Hello in the place of the first that nobody needs.
fn encrypted(mut hello: Vec<u8>) -> Vec<u8> {
    // status_request, which rustls always sends: `00 05`, then a length.
    let at = hello
        .windows(4)
        .position(|window| window == [0, 5, 0, 5])
        .expect("rustls asks for the status");
    hello[at..at + 2].copy_from_slice(&[0xfe, 0x0d]);
    hello
}

/// A tunnel to a target that echoes and is a registry by its address.
async fn tunnel() -> (Gate, Target, TcpStream) {
    let target = Target::echo().await;
    let gate = Gate::serve(&policy_of_registry(&target.address.to_string())).await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    recorder::only_event();
    (gate, target, client.into_stream())
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the gate does not close")
        .unwrap();
    bytes
}

/// Sends `bytes` and expects `answer`, the end, and a denial for `reason`.
async fn refused(bytes: &[u8], answer: &[u8], reason: &str) {
    let (gate, _target, mut stream) = tunnel().await;
    stream.write_all(bytes).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, answer, "{reason}");
    recorder::only_event().check(&[("decision", "deny"), ("reason", reason)]);
    let metrics = gate.metrics();
    assert!(
        metrics.contains(&format!(
            "ramgate_egress_denials_total{{reason=\"{reason}\"}} 1"
        )),
        "{metrics}"
    );
    assert!(
        metrics.contains("ramgate_egress_sent_bytes_total 0"),
        "{metrics}"
    );
}

#[tokio::test]
async fn nothing_but_tls_to_the_registry_itself_is_sent_to_a_registry() {
    refused(&hello("evil.example"), ALERT, "server-name-differs").await;
    refused(
        b"GET /v2/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"",
        "not-tls",
    )
    .await;
    refused(b"SSH-2.0-client\r\n", b"", "not-tls").await;
    refused(
        &encrypted(hello("127.0.0.1")),
        ALERT,
        "server-name-encrypted",
    )
    .await;
    refused(
        &encrypted(hello("evil.example")),
        ALERT,
        "server-name-encrypted",
    )
    .await;
    refused(
        &[22, 3, 1, 0, 0],
        &[21, 3, 3, 0, 2, 2, 50],
        "client-hello-unreadable",
    )
    .await;
}

#[tokio::test]
async fn tls_to_the_registry_passes_unchanged() {
    let (gate, _target, mut stream) = tunnel().await;
    let hello = hello("127.0.0.1");
    stream.write_all(&hello).await.unwrap();
    stream.write_all(b"more").await.unwrap();
    stream.shutdown().await.unwrap();
    let expected = [&hello[..], b"more"].concat();
    assert_eq!(read_to_end(&mut stream).await, expected);
    let metrics = gate.metrics();
    for line in [
        format!("ramgate_egress_sent_bytes_total {}", expected.len()),
        format!("ramgate_egress_received_bytes_total {}", expected.len()),
        "ramgate_egress_tunnels_total 1".to_owned(),
        "ramgate_egress_connect_seconds_count 1".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_name_that_comes_byte_by_byte_is_read_all_the_same() {
    let (_gate, _target, mut stream) = tunnel().await;
    stream.set_nodelay(true).unwrap();
    let hello = hello("evil.example");
    for chunk in hello.chunks(7) {
        if stream.write_all(chunk).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(read_to_end(&mut stream).await, ALERT);
}

#[tokio::test]
async fn a_name_right_behind_the_head_of_the_request_is_read() {
    let target = Target::echo().await;
    let address = target.address.to_string();
    let gate = Gate::serve(&policy_of_registry(&address)).await;
    let mut stream = gate.connect().await.into_stream();
    let request = [connect_to(&address).as_bytes(), &hello("evil.example")].concat();
    stream.write_all(&request).await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with(ALERT));
}

#[tokio::test]
async fn a_hello_that_does_not_end_is_cut() {
    let target = Target::echo().await;
    let gate = Gate::serve_with(&policy_of_registry(&target.address.to_string()), |config| {
        config.header_read_timeout = Duration::from_millis(200);
    })
    .await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    let mut stream = client.into_stream();
    let hello = hello("127.0.0.1");
    let drip = async {
        for byte in &hello {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = timeout(Duration::from_secs(1), drip).await;
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"");
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    let target = Target::spawn(|mut stream| async move {
        stream.write_all(b"SSH-2.0-server\r\n").await.unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
    })
    .await;
    let gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    assert_eq!(client.read_until("\r\n").await, "SSH-2.0-server\r\n");
    client.write("hello").await;
    assert_eq!(client.read_to_end().await, "hello");
}
