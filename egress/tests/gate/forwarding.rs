//! `http://` requests.

use crate::support::{Gate, Target, policy_of, status_line};

#[tokio::test]
async fn a_request_is_passed_on_in_origin_form_without_what_belongs_to_the_proxy() {
    let target = Target::mirror_requests().await;
    let gate = Gate::serve(&target.policy()).await;
    let address = target.address;
    let answer = gate
        .ask(&format!(
            "PUT http://{address}/v2/a?b=c HTTP/1.1\r\nhost: {address}\r\nConnection: close, X-Named\r\nX-Named: 1\r\n\
             Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTE: trailers\r\n\
             Authorization: Bearer kept\r\nContent-Length: 5\r\n\r\nhello"
        ))
        .await;
    assert_eq!(status_line(&answer), "HTTP/1.1 200 OK");
    let (_, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(status_line(seen), "PUT /v2/a?b=c HTTP/1.1");
    let (head, content) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(content, "hello");
    let head = head.to_ascii_lowercase();
    assert!(head.contains(&format!("host: {address}")), "{head}");
    assert!(
        head.contains("authorization: bearer kept") && head.contains("via: 1.1 ramgate"),
        "{head}"
    );
    for gone in ["proxy-", "x-named", "upgrade", "te:", "connection:"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
}

#[tokio::test]
async fn chunked_content_is_passed_on_whatever_the_method() {
    let target = Target::mirror_requests().await;
    let gate = Gate::serve(&target.policy()).await;
    let address = target.address;
    for method in ["GET", "POST"] {
        let answer = gate
            .ask(&format!(
                "{method} http://{address}/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
                 Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            ))
            .await;
        assert!(
            answer.ends_with("5\r\nhello\r\n0\r\n\r\n"),
            "{method}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_reach_the_target() {
    let target = Target::mirror_requests().await;
    let gate = Gate::serve(&target.policy()).await;
    let address = target.address;
    for fields in [
        "Content-Length: 30\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 30",
    ] {
        let answer = gate
            .ask(&format!(
                "POST http://{address}/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            ))
            .await;
        let (_, seen) = answer.split_once("\r\n\r\n").unwrap_or_default();
        assert!(
            !seen.to_ascii_lowercase().contains("content-length"),
            "{fields}: {answer}"
        );
    }
}

#[tokio::test]
async fn who_has_no_more_to_ask_still_has_the_answer() {
    let target = Target::mirror_requests().await;
    let gate = Gate::serve(&target.policy()).await;
    let address = target.address;
    let mut client = gate.connect().await;
    client
        .write(&format!(
            "GET http://{address}/a HTTP/1.1\r\nHost: {address}\r\n\r\n"
        ))
        .await;
    client.close_write().await;
    let answer = client.read_to_end().await;
    assert!(answer.contains("GET /a HTTP/1.1"), "{answer}");
}

#[tokio::test]
async fn what_stands_behind_a_hash_is_no_part_of_the_target() {
    let target = Target::mirror_requests().await;
    let gate = Gate::serve(&target.policy()).await;
    let address = target.address;
    for (asked, path) in [("#@evil.example/b", "/"), ("/a#b", "/a"), ("?b#c", "/?b")] {
        let answer = gate
            .ask(&format!(
                "GET http://{address}{asked} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        let (_, seen) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(status_line(seen), format!("GET {path} HTTP/1.1"), "{asked}");
    }
}

#[tokio::test]
async fn every_request_of_a_connection_is_judged() {
    let (open, closed) = (
        Target::mirror_requests().await,
        Target::mirror_requests().await,
    );
    let gate = Gate::serve(&open.policy()).await;
    let mut client = gate.connect().await;
    for path in ["/first", "/second"] {
        client
            .write(&format!(
                "GET http://{0}{path} HTTP/1.1\r\nHost: {0}\r\n\r\n",
                open.address
            ))
            .await;
        assert_eq!(status_line(&client.read_head().await), "HTTP/1.1 200 OK");
        let seen = client.read_head().await;
        assert_eq!(status_line(&seen), format!("GET {path} HTTP/1.1"));
    }
    client
        .write(&format!(
            "GET http://{0}/third HTTP/1.1\r\nHost: {0}\r\n\r\n",
            closed.address
        ))
        .await;
    let answer = client.read_to_end().await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    assert_eq!((open.accepted(), closed.accepted()), (2, 0));
}

#[tokio::test]
async fn requests_sent_in_one_go_are_judged_one_by_one() {
    let (open, closed) = (
        Target::mirror_requests().await,
        Target::mirror_requests().await,
    );
    let gate = Gate::serve(&open.policy()).await;
    let request = |target: &Target| {
        format!(
            "GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\n\r\n",
            target.address
        )
    };
    let answer = gate
        .ask(&format!("{}{}", request(&open), request(&closed)))
        .await;
    assert!(
        answer.contains("HTTP/1.1 200 OK") && answer.contains("HTTP/1.1 403 "),
        "{answer}"
    );
    assert_eq!((open.accepted(), closed.accepted()), (1, 0));
}

#[tokio::test]
async fn a_swapped_policy_judges_the_next_request_of_an_open_connection() {
    let target = Target::mirror_requests().await;
    let gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    let request = format!(
        "GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\n\r\n",
        target.address
    );
    client.write(&request).await;
    assert_eq!(status_line(&client.read_head().await), "HTTP/1.1 200 OK");
    client.read_head().await;
    gate.swap(&policy_of(&[]));
    client.write(&request).await;
    let answer = client.read_to_end().await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 403 "),
        "{answer}"
    );
    assert_eq!(target.accepted(), 1);
}

#[tokio::test]
async fn http_1_0_is_judged_and_passed_on_too() {
    let target = Target::mirror_requests().await;
    let gate = Gate::serve(&target.policy()).await;
    let answer = gate
        .ask(&format!(
            "GET http://{}/old HTTP/1.0\r\n\r\n",
            target.address
        ))
        .await;
    assert_eq!(status_line(&answer), "HTTP/1.0 200 OK");
    assert!(answer.contains("GET /old HTTP/1.1"), "{answer}");
    let answer = gate.ask("GET http://evil.example/ HTTP/1.0\r\n\r\n").await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.0 403 Access to evil.example"),
        "{answer}"
    );
    let answer = gate.ask("CONNECT evil.example:443 HTTP/1.0\r\n\r\n").await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.0 403 Access to evil.example"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_answer_that_changes_the_protocol_is_a_bad_gateway() {
    let target = Target::answer_once(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    )
    .await;
    let gate = Gate::serve(&target.policy()).await;
    let address = target.address;
    let answer =
        gate.ask(&format!("GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")).await;
    assert!(
        status_line(&answer).starts_with("HTTP/1.1 502 "),
        "{answer}"
    );
}

#[tokio::test]
async fn an_unreadable_answer_is_a_bad_gateway() {
    let target = Target::answer_once("SSH-2.0-OpenSSH_9.2\r\n").await;
    let gate = Gate::serve(&target.policy()).await;
    let address = target.address;
    let answer = gate
        .ask(&format!(
            "GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\n\r\n"
        ))
        .await;
    assert!(
        status_line(&answer).starts_with(&format!("HTTP/1.1 502 {address} cannot be reached")),
        "{answer}"
    );
}

#[tokio::test]
async fn the_targets_own_reason_phrase_is_kept_and_its_connection_headers_are_not() {
    let target = Target::answer_once(
        "HTTP/1.1 403 Not For You\r\nContent-Length: 2\r\nConnection: close, X-Named\r\nX-Named: 1\r\nX-Kept: 1\r\n\r\nno",
    )
    .await;
    let gate = Gate::serve(&target.policy()).await;
    let address = target.address;
    let mut client = gate.connect().await;
    client
        .write(&format!(
            "GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\n\r\n"
        ))
        .await;
    let head = client.read_head().await;
    assert_eq!(status_line(&head), "HTTP/1.1 403 Not For You");
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("x-kept") && !head.contains("x-named") && !head.contains("connection: close"),
        "{head}"
    );
    assert_eq!(client.read_until("no").await, "no");
}
