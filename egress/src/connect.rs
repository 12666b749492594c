//! Connections to a resolved destination.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::destination::Destination;
use crate::upstream::UpstreamError;

/// Opens a connection to the first address of `destination` that takes one.
pub(crate) async fn open(
    destination: &Destination,
    limit: Duration,
) -> Result<TcpStream, UpstreamError> {
    let stream = timeout(limit, race(destination.addresses()))
        .await
        .map_err(|_| UpstreamError::ConnectTimeout)??;
    // Only latency is lost where the socket refuses.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// One address after another, the next as soon as the last has failed or has been silent for [`STAGGER`].
async fn race(addresses: &[SocketAddr]) -> Result<TcpStream, UpstreamError> {
    // Nobody to race with: no task for it.
    if let [only] = addresses {
        let opened = TcpStream::connect(only).await;
        return opened.map_err(UpstreamError::Unreachable);
    }
    let mut waiting = addresses.iter().copied();
    let mut attempts = JoinSet::new();
    let mut failure = UpstreamError::NoAddress;
    loop {
        match waiting.next() {
            Some(address) => drop(attempts.spawn(TcpStream::connect(address))),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            Some(attempt) = attempts.join_next() => match attempt {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = UpstreamError::Unreachable(error),
                Err(error) => failure = UpstreamError::Unreachable(error.into()),
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

/// RFC 8305, section 5, the recommended delay between attempts.
const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = race(&[closed, open.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open.local_addr().unwrap());
        assert!(matches!(
            race(&[closed]).await,
            Err(UpstreamError::Unreachable(_))
        ));
        assert!(matches!(race(&[]).await, Err(UpstreamError::NoAddress)));
    }
}
