//! What is refused, what the user reads, and that nothing leaves the gate.

use crate::support::{Gate, Target, connect_to, policy_of, status_line};

const RESTRICTED: &str = "HTTP/1.1 403 Access to evil.example";
const BY: &str = " has been restricted by your administrators.";

#[tokio::test]
async fn a_denied_tunnel_says_why_in_the_status_line_and_in_the_body() {
    let gate = Gate::serve(&policy_of(&[])).await;
    let answer = gate.ask(&connect_to("evil.example:443")).await;
    let line = status_line(&answer);
    assert!(line.starts_with(RESTRICTED) && line.contains(BY), "{line}");
    assert!(line.contains("contact platform@acme.example"), "{line}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(line.strip_prefix("HTTP/1.1 403 "), body.strip_suffix('\n'));
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("connection: close") && head.contains("content-type: text/plain"),
        "{head}"
    );
}

#[tokio::test]
async fn a_denied_request_over_plain_http_says_the_same() {
    let gate = Gate::serve(&policy_of(&[])).await;
    let answer = gate
        .ask("GET http://evil.example/a?token=secret HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        .await;
    assert!(status_line(&answer).starts_with(RESTRICTED), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
    let answer = gate
        .ask("HEAD http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        .await;
    assert!(status_line(&answer).starts_with(RESTRICTED), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "a HEAD has no body: {answer}");
}

#[tokio::test]
async fn a_denied_target_sees_no_connection() {
    let target = Target::echo().await;
    let gate = Gate::serve(&policy_of(&[])).await;
    let address = target.address;
    let answer = gate.ask(&connect_to(&address.to_string())).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    let answer = gate
        .ask(&format!(
            "GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\n\r\n"
        ))
        .await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn another_port_of_an_allowed_host_is_denied() {
    let (open, closed) = (Target::echo().await, Target::echo().await);
    let gate = Gate::serve(&open.policy()).await;
    let answer = gate.ask(&connect_to(&closed.address.to_string())).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    let answer = gate.ask(&connect_to("ghcr.io:22")).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    assert_eq!(closed.accepted(), 0);
}

#[tokio::test]
async fn docker_hub_is_closed_while_the_mirror_carries_it() {
    let gate = Gate::serve(r#"{ "version": 1, "registries": [ { "host": "docker.io" } ] }"#).await;
    for host in [
        "registry-1.docker.io",
        "auth.docker.io",
        "Production.Cloudfront.Docker.com.",
    ] {
        let answer = gate.ask(&connect_to(&format!("{host}:443"))).await;
        let line = status_line(&answer);
        assert!(
            line.starts_with("HTTP/1.1 403 Access to docker.io has been restricted"),
            "{host}: {line}"
        );
    }
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused() {
    let target = Target::echo().await;
    let port = target.port();
    // Addresses in other notations are not read at all: unreadable.rs.
    let spellings = ["localhost", "localhost.", "LocalHost"];
    let hosts: Vec<String> = spellings
        .iter()
        .map(|name| format!("{name}:{port}"))
        .collect();
    let gate = Gate::serve(&policy_of(&hosts)).await;
    for host in hosts {
        let answer = gate.ask(&connect_to(&host)).await;
        let line = status_line(&answer);
        assert!(
            line.starts_with("HTTP/1.1 403 Access to ") && line.contains("a loopback address"),
            "{host}: {line}"
        );
    }
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn a_policy_takes_effect_with_the_next_request() {
    let target = Target::echo().await;
    let gate = Gate::serve(&target.policy()).await;
    gate.connect().await.open_tunnel(target.address).await;
    gate.swap(&policy_of(&[]));
    let answer = gate.ask(&connect_to(&target.address.to_string())).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    gate.swap(&target.policy());
    gate.connect().await.open_tunnel(target.address).await;
    assert_eq!(target.accepted(), 2);
}

#[tokio::test]
async fn in_audit_mode_what_would_be_denied_is_carried() {
    let target = Target::mirror_requests().await;
    let gate = Gate::serve(r#"{ "version": 1, "mode": "audit", "registries": [] }"#).await;
    // By its address, which no rule spells out: even then this machine stays closed.
    let answer = gate.ask(&connect_to(&target.address.to_string())).await;
    assert!(answer.contains("a loopback address"), "{answer}");
    let answer = gate.ask(&connect_to("name.invalid:443")).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 502 name.invalid:443 cannot be reached"),
        "{answer}"
    );
}
