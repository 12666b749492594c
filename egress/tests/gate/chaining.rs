//! Through a site's own proxy.

use ramgate_egress::{NoProxy, UpstreamProxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Gate, Target, connect_to, policy_of, status_line};

/// `user:secret` as `Basic`.
const AUTHORIZATION: &str = "Basic dXNlcjpzZWNyZXQ=";

async fn gate_behind(proxy: &Target, hosts: &[String], no_proxy: &[&str]) -> Gate {
    let address = proxy.address;
    let no_proxy = NoProxy::parse(no_proxy.iter().copied()).unwrap();
    Gate::serve_with(&policy_of(hosts), |config| {
        let proxy = UpstreamProxy::new(
            address.ip().to_string().parse().unwrap(),
            address.port(),
            no_proxy,
        );
        config.upstream_proxy = Some(proxy.with_credentials("user", "secret"));
    })
    .await
}

/// Answers a `CONNECT` with its own head as the tunnel's first bytes, in one write, then echoes.
async fn proxy() -> Target {
    Target::spawn(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = [
            b"HTTP/1.1 200 Connection established\r\nX-A: b\r\n\r\n",
            &head[..],
        ]
        .concat();
        stream.write_all(&answer).await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

#[tokio::test]
async fn a_tunnel_goes_on_through_the_upstream_proxy_by_name() {
    let proxy = proxy().await;
    let gate = gate_behind(&proxy, &["name.invalid:443".to_owned()], &[]).await;
    let mut client = gate.connect().await;
    client.write(&connect_to("name.invalid:443")).await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(
        client.read_head().await,
        format!(
            "CONNECT name.invalid:443 HTTP/1.1\r\nHost: name.invalid:443\r\nProxy-Authorization: {AUTHORIZATION}\r\n\r\n"
        )
    );
    client.write("through").await;
    client.close_write().await;
    assert_eq!(client.read_to_end().await, "through");
}

#[tokio::test]
async fn a_request_goes_to_the_upstream_proxy_in_absolute_form() {
    let proxy = Target::mirror_requests().await;
    let gate = gate_behind(&proxy, &["name.invalid".to_owned()], &[]).await;
    let mut client = gate.connect().await;
    client
        .write("GET http://Name.invalid:80/a?b=c HTTP/1.1\r\nHost: name.invalid\r\nProxy-Authorization: Basic own\r\nConnection: close\r\n\r\n")
        .await;
    let answer = client.read_to_end().await.to_ascii_lowercase();
    assert!(
        answer.contains("get http://name.invalid/a?b=c http/1.1\r\n"),
        "{answer}"
    );
    let authorization = format!("proxy-authorization: {AUTHORIZATION}\r\n").to_ascii_lowercase();
    assert!(
        answer.contains(&authorization) && !answer.contains("basic own"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_policy_is_asked_before_the_upstream_proxy() {
    let proxy = proxy().await;
    let gate = gate_behind(&proxy, &[], &[]).await;
    let answer = gate.ask(&connect_to("evil.example:443")).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    assert_eq!(proxy.accepted(), 0);
}

#[tokio::test]
async fn an_address_is_judged_here_even_where_the_proxy_would_dial_it() {
    let proxy = proxy().await;
    let address = proxy.address;
    let gate = Gate::serve_with(r#"{ "version": 1 }"#, |config| {
        config.upstream_proxy = Some(UpstreamProxy::new(
            address.ip().to_string().parse().unwrap(),
            address.port(),
            NoProxy::default(),
        ));
    })
    .await;
    let answer = gate.ask(&connect_to("169.254.169.254:80")).await;
    assert!(
        answer.contains("leads to 169.254.169.254, a link-local address"),
        "{answer}"
    );
    assert_eq!(proxy.accepted(), 0);
}

#[tokio::test]
async fn what_the_list_covers_is_reached_directly() {
    let (proxy, target) = (proxy().await, Target::echo().await);
    let gate = gate_behind(&proxy, &[target.address.to_string()], &["127.0.0.0/8"]).await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    client.write("direct").await;
    client.close_write().await;
    assert_eq!(client.read_to_end().await, "direct");
    assert_eq!((proxy.accepted(), target.accepted()), (0, 1));
}

#[tokio::test]
async fn an_upstream_proxy_that_refuses_is_told_of() {
    let proxy = Target::answer_once("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let gate = gate_behind(&proxy, &["name.invalid:443".to_owned()], &[]).await;
    let answer = gate.ask(&connect_to("name.invalid:443")).await;
    assert!(
        status_line(&answer).contains("502 name.invalid:443 cannot be reached: the upstream proxy does not lead there: it answers `407 Proxy Authentication Required`"),
        "{answer}"
    );
    assert!(!answer.contains("dXNlcjpzZWNyZXQ"), "{answer}");
}
