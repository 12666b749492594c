//! Bytes through `CONNECT`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Gate, Target, connect_to, policy_of, status_line};

#[tokio::test]
async fn bytes_pass_both_ways_until_both_sides_have_closed() {
    let target = Target::echo().await;
    let gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    client.write("one").await;
    assert_eq!(client.read_until("one").await, "one");
    client.write("two").await;
    client.close_write().await;
    assert_eq!(client.read_to_end().await, "two");
}

#[tokio::test]
async fn a_closed_half_leaves_the_other_open() {
    // Speaks only once the client has closed its half.
    let target = Target::spawn(|mut stream| async move {
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        stream
            .write_all(format!("heard {heard}").as_bytes())
            .await
            .unwrap();
    })
    .await;
    let gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    client.write("everything").await;
    client.close_write().await;
    assert_eq!(client.read_to_end().await, "heard everything");
}

#[tokio::test]
async fn the_targets_closed_half_reaches_the_client() {
    // Closes its half at once, then still listens.
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let target = Target::spawn(move |mut stream| {
        let sender = sender.lock().unwrap().take().unwrap();
        async move {
            stream.write_all(b"bye").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await.unwrap();
            sender.send(heard).unwrap();
        }
    })
    .await;
    let gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    assert_eq!(client.read_to_end().await, "bye");
    client.write("still here").await;
    client.close_write().await;
    assert_eq!(receiver.await.unwrap(), "still here");
}

#[tokio::test]
async fn bytes_sent_right_behind_the_head_are_carried() {
    let target = Target::echo().await;
    let gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    client
        .write(&format!("{}early", connect_to(&target.address.to_string())))
        .await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 200 "));
    client.write(" and late").await;
    client.close_write().await;
    assert_eq!(client.read_to_end().await, "early and late");
}

#[tokio::test]
async fn a_megabyte_passes_unchanged() {
    let target = Target::echo().await;
    let gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    let bytes: String = (0..1 << 16)
        .map(|number| format!("{number:016x}"))
        .collect();
    let mut stream = client.into_stream();
    let (mut read, mut write) = stream.split();
    let sent = async {
        write.write_all(bytes.as_bytes()).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut received = String::new();
    let (_, read) = tokio::join!(sent, read.read_to_string(&mut received));
    read.unwrap();
    assert_eq!(received.len(), bytes.len());
    assert_eq!(received, bytes);
}

#[tokio::test]
async fn an_answer_to_connect_has_no_content() {
    let target = Target::echo().await;
    let gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    client.write(&connect_to(&target.address.to_string())).await;
    let head = client.read_head().await.to_ascii_lowercase();
    assert!(
        !head.contains("content-length") && !head.contains("transfer-encoding"),
        "{head}"
    );
}

#[tokio::test]
async fn a_target_that_is_away_is_a_bad_gateway() {
    let address = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gate = Gate::serve(&policy_of(&[
        address.to_string(),
        "name.invalid:443".to_owned(),
    ]))
    .await;
    let answer = gate.ask(&connect_to(&address.to_string())).await;
    let line = status_line(&answer);
    assert!(
        line.starts_with(&format!(
            "HTTP/1.1 502 {address} cannot be reached: no connection"
        )),
        "{line}"
    );
    let answer = gate.ask(&connect_to("name.invalid:443")).await;
    let line = status_line(&answer);
    assert!(
        line.starts_with("HTTP/1.1 502 name.invalid:443 cannot be reached: the name"),
        "{line}"
    );
}
