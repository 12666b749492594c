//! `CONNECT`: bytes from one side to the other, unseen.

use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;
use tracing::debug;

use crate::activity::Activity;

/// Carries bytes until both sides have closed, one has broken off, or nothing has moved for `idle_timeout`.
///
/// A side that closes its half closes that half on the other side; the other direction goes on. What the client sent
/// right behind the head of its request is the first of what is carried.
pub(crate) async fn carry(upgrade: OnUpgrade, upstream: TcpStream, idle_timeout: Duration) {
    let downstream = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            debug!(%error, error_source = "downstream", "tunnel not taken up");
            return;
        }
    };
    let activity = Activity::new();
    let mut downstream = activity.watch(downstream);
    let mut upstream = activity.watch(upstream);
    tokio::select! {
        carried = copy_bidirectional_with_sizes(&mut downstream, &mut upstream, BUFFER_BYTES, BUFFER_BYTES) => match carried {
            Ok((sent_bytes, received_bytes)) => debug!(sent_bytes, received_bytes, "tunnel closed"),
            Err(error) => debug!(%error, "tunnel broken off"),
        },
        () = activity.idle(idle_timeout) => debug!("tunnel idle, closed"),
    }
}

/// For each direction. Two TLS records of the largest size (RFC 8446, section 5.2).
const BUFFER_BYTES: usize = 32 * 1024;
