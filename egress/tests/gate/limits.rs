//! Time and room.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Gate, PATIENCE, Target, connect_to, status_line};

#[tokio::test]
async fn over_the_limit_of_tunnels_the_answer_is_503_and_room_comes_back() {
    let target = Target::echo().await;
    let gate = Gate::serve_with(&target.policy(), |config| config.tunnels_max = 1).await;
    let mut first = gate.connect().await;
    first.open_tunnel(target.address).await;
    let answer = gate.ask(&connect_to(&target.address.to_string())).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 503 ramgate: 1 connections are open already"),
        "{answer}"
    );
    first.close_write().await;
    first.read_to_end().await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut again = gate.connect().await;
        again.write(&connect_to(&target.address.to_string())).await;
        if again.read_head().await.starts_with("HTTP/1.1 200 ") {
            break;
        }
        assert!(Instant::now() < deadline, "no room comes back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(target.accepted(), 2);
}

#[tokio::test]
async fn a_denial_is_given_even_when_there_is_no_room() {
    let target = Target::echo().await;
    let gate = Gate::serve_with(&target.policy(), |config| config.tunnels_max = 0).await;
    let answer = gate.ask(&connect_to("evil.example:443")).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    let answer = gate.ask(&connect_to(&target.address.to_string())).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 503 "),
        "{answer}"
    );
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn an_idle_tunnel_is_closed() {
    let target = Target::echo().await;
    let gate = Gate::serve_with(&target.policy(), |config| {
        config.idle_timeout = Duration::from_millis(100)
    })
    .await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    assert_eq!(client.read_to_end().await, "");
}

#[tokio::test]
async fn a_target_that_never_answers_is_a_gateway_timeout() {
    let target = Target::spawn(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let gate = Gate::serve_with(&target.policy(), |config| {
        config.idle_timeout = Duration::from_millis(100)
    })
    .await;
    let address = target.address;
    let answer = gate
        .ask(&format!(
            "GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\n\r\n"
        ))
        .await;
    assert!(
        status_line(&answer).starts_with(&format!(
            "HTTP/1.1 504 {address} cannot be reached: no answer"
        )),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_dropped() {
    let target = Target::echo().await;
    let gate = Gate::serve_with(&target.policy(), |config| {
        config.header_read_timeout = Duration::from_millis(100)
    })
    .await;
    let mut client = gate.connect().await;
    client.write("CONNECT ghcr.io:443 HTTP/1.1\r\nHost:").await;
    client.read_to_end().await;
    let mut silent = gate.connect().await;
    silent.read_to_end().await;
}
