//! Requests that are not read, or could be read two ways.

use crate::support::{Gate, Target, policy_of, status_line};

async fn check(gate: &Gate, request: &str, expected: &str) {
    let answer = gate.ask(request).await;
    let line = status_line(&answer);
    assert!(
        line.starts_with(expected),
        "{request:?} gives {line:?}, not {expected:?}"
    );
}

#[tokio::test]
async fn a_request_that_could_be_read_two_ways_is_refused() {
    let gate = Gate::serve(&policy_of(&["evil.example".to_owned()])).await;
    for (request, expected) in REQUESTS {
        check(&gate, request, expected).await;
    }
}

#[tokio::test]
async fn no_spelling_of_a_host_changes_how_it_is_judged() {
    let target = Target::echo().await;
    let port = target.port();
    let gate = Gate::serve(&policy_of(&[
        format!("127.0.0.1:{port}"),
        "name.invalid:443".to_owned(),
    ]))
    .await;
    for (spelled, host, expected) in [
        (
            "NAME.Invalid:443",
            "name.invalid:443",
            "HTTP/1.1 502 name.invalid:443 cannot be reached",
        ),
        (
            "name.invalid.:443",
            "name.invalid:443",
            "HTTP/1.1 502 name.invalid:443 cannot be reached",
        ),
        (
            "name.invalid:0443",
            "NAME.INVALID.:443",
            "HTTP/1.1 502 name.invalid:443 cannot be reached",
        ),
        (
            "EVIL.Example.:443",
            "evil.example:443",
            "HTTP/1.1 403 Access to evil.example has been restricted",
        ),
    ] {
        check(
            &gate,
            &format!("CONNECT {spelled} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            expected,
        )
        .await;
    }
    let mapped = format!("[::ffff:127.0.0.1]:{port}");
    check(
        &gate,
        &format!("CONNECT {mapped} HTTP/1.1\r\nHost: {mapped}\r\n\r\n"),
        "HTTP/1.1 403 ",
    )
    .await;
    let loopback = format!("[0:0:0::1]:{port}");
    check(
        &gate,
        &format!("CONNECT {loopback} HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n"),
        "HTTP/1.1 403 Access to [::1]",
    )
    .await;
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let gate = Gate::serve(&policy_of(&[])).await;
    let request = format!(
        "CONNECT ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\nX-Long: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let mut client = gate.connect().await;
    client.write(&request).await;
    assert!(client.read_until("\r\n").await.starts_with("HTTP/1.1 431 "));
}

/// What is sent, and how the answer begins.
const REQUESTS: &[(&str, &str)] = &[
    (
        "CONNECT ghcr.io HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "CONNECT ghcr.io:0 HTTP/1.1\r\nHost: ghcr.io:0\r\n\r\n",
        "HTTP/1.1 400 ramgate: the target is unreadable: the port",
    ),
    (
        "CONNECT ghcr.io:65536 HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "CONNECT ghcr.io: HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "CONNECT :443 HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "CONNECT user@ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n",
        "HTTP/1.1 400 ramgate: a target has no credentials",
    ),
    (
        "CONNECT evil.example:443@ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "CONNECT ghcr.io:443/path HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "CONNECT http://ghcr.io:443/ HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n",
        "HTTP/1.1 400 ramgate: this is a forward proxy",
    ),
    (
        "CONNECT ghcr.io:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        "HTTP/1.1 400 ramgate: the Host header",
    ),
    (
        "CONNECT ghcr.io:443 HTTP/1.1\r\n\r\n",
        "HTTP/1.1 400 ramgate: one Host header",
    ),
    (
        "CONNECT ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 400 ramgate: a CONNECT",
    ),
    (
        "CONNECT [::1%25lo]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "CONNECT [::1:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "CONNECT 2130706433:443 HTTP/1.1\r\nHost: 2130706433:443\r\n\r\n",
        "HTTP/1.1 400 ramgate: a name that ends in a number",
    ),
    (
        "PRI /v2/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ramgate: this is a forward proxy",
    ),
    (
        "GET /v2/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ramgate: this is a forward proxy",
    ),
    (
        "GET //ghcr.io/v2/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ramgate: this is a forward proxy",
    ),
    (
        "OPTIONS * HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ramgate: this is a forward proxy",
    ),
    (
        "GET https://ghcr.io/v2/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ramgate: only http:// targets",
    ),
    (
        "GET http://user:word@ghcr.io/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ramgate: a target has no credentials",
    ),
    (
        "GET http://ghcr.io@evil.example/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ramgate: a target has no credentials",
    ),
    (
        "GET http://ghcr.io/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "HTTP/1.1 400 ramgate: the Host header",
    ),
    (
        "GET http://ghcr.io/ HTTP/1.1\r\nHost: ghcr.io\r\nHost: evil.example\r\n\r\n",
        "HTTP/1.1 400 ramgate: one Host header",
    ),
    (
        "GET http://ghcr.io/ HTTP/1.1\r\n\r\n",
        "HTTP/1.1 400 ramgate: one Host header",
    ),
    (
        "GET http://ghcr.io\\evil.example/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "GET http://b\u{fc}cher.example/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    (
        "GET http://gh%63r.io/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n",
        "HTTP/1.1 400 ",
    ),
    ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n", "HTTP/1.1 400 "),
];
