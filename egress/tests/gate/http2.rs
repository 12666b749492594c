//! `CONNECT` over HTTP/2.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Gate, PATIENCE, Target, policy_of, policy_of_registry};

async fn connect(gate: &Gate) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(gate.address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn tunnel_to(target: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .method(Method::CONNECT)
        .uri(target)
        .body(Empty::new())
        .unwrap()
}

#[tokio::test]
async fn many_tunnels_go_through_one_connection() {
    let target = Target::echo().await;
    let gate = Gate::serve(&target.policy()).await;
    let mut sender = connect(&gate).await;
    let mut tunnels = Vec::new();
    for _ in 0..20 {
        let mut answer = sender
            .send_request(tunnel_to(&target.address.to_string()))
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let upgraded = hyper::upgrade::on(&mut answer).await.unwrap();
        tunnels.push(TokioIo::new(upgraded));
    }
    for (number, tunnel) in tunnels.iter_mut().enumerate() {
        tunnel
            .write_all(format!("tunnel {number}").as_bytes())
            .await
            .unwrap();
        tunnel.shutdown().await.unwrap();
    }
    for (number, tunnel) in tunnels.iter_mut().enumerate() {
        let mut text = String::new();
        timeout(PATIENCE, tunnel.read_to_string(&mut text))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(text, format!("tunnel {number}"));
    }
    assert_eq!(target.accepted(), 20);
}

#[tokio::test]
async fn a_denial_has_its_words_in_the_body() {
    let gate = Gate::serve(&policy_of(&[])).await;
    let mut sender = connect(&gate).await;
    let answer = sender
        .send_request(tunnel_to("evil.example:443"))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(
        body.starts_with(b"Access to evil.example has been restricted"),
        "{body:?}"
    );
    // The connection goes on.
    let answer = sender
        .send_request(tunnel_to("evil.example:22"))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_tunnel_is_guarded_here_too() {
    let target = Target::echo().await;
    let address = target.address.to_string();
    let gate = Gate::serve(&policy_of_registry(&address)).await;
    let mut sender = connect(&gate).await;
    let mut answer = sender.send_request(tunnel_to(&address)).await.unwrap();
    let mut tunnel = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    tunnel.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut text = String::new();
    let _ = timeout(PATIENCE, tunnel.read_to_string(&mut text))
        .await
        .unwrap();
    assert_eq!(text, "");
}

#[tokio::test]
async fn the_preface_may_come_in_parts() {
    let gate = Gate::serve(&policy_of(&[])).await;
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for part in ["P", "RI * HTT", "P/2.0\r\n\r\nSM\r\n\r\n"] {
        stream.write_all(part.as_bytes()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    stream
        .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    let mut settings = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut settings))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(settings[3], 4, "the server's SETTINGS come first");
}
