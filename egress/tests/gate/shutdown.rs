//! The end of the gate.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::{Gate, PATIENCE, Target};

#[tokio::test]
async fn with_nothing_under_way_the_gate_closes_at_once() {
    let target = Target::echo().await;
    let mut gate = Gate::serve(&target.policy()).await;
    let idle = gate.connect().await;
    gate.shutdown.cancel();
    timeout(Duration::from_secs(2), &mut gate.served)
        .await
        .expect("closes")
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(gate.address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_tunnel_under_way_may_end_within_the_grace() {
    let target = Target::echo().await;
    let mut gate = Gate::serve(&target.policy()).await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    gate.shutdown.cancel();
    client.write("last").await;
    client.close_write().await;
    assert_eq!(client.read_to_end().await, "last");
    timeout(Duration::from_secs(2), &mut gate.served)
        .await
        .expect("closes")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_tunnel_that_does_not_end_is_cut_when_the_grace_has_passed() {
    let target = Target::echo().await;
    let mut gate = Gate::serve_with(&target.policy(), |config| {
        config.shutdown_grace = Duration::from_millis(200)
    })
    .await;
    let mut client = gate.connect().await;
    client.open_tunnel(target.address).await;
    let begun = Instant::now();
    gate.shutdown.cancel();
    timeout(PATIENCE, &mut gate.served)
        .await
        .expect("closes")
        .unwrap()
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(client.read_to_end().await, "");
}
