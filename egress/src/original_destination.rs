//! Where a connection was going before the firewall sent it here.

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use tokio::net::TcpStream;

/// The two ends of a captured connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Who opened it.
    pub(crate) from: SocketAddr,
    /// Where it was going.
    pub(crate) to: SocketAddr,
}

// === impl Ends ===

impl Ends {
    /// As the kernel's connection tracking remembers them; `None` for a connection that was made to this listener.
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Option<Self>> {
        let from = canonical(stream.peer_addr()?);
        let here = canonical(stream.local_addr()?);
        let found = if here.is_ipv4() {
            ip_original_dst(stream).map(SocketAddr::V4)
        } else {
            ipv6_original_dst(stream).map(SocketAddr::V6)
        };
        let to = match found {
            Ok(to) => to,
            // Nothing of it is remembered: nothing was done to it.
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Scopes of link-local addresses are no part of where it goes.
        let direct = to.ip() == here.ip() && to.port() == here.port();
        Ok((!direct).then_some(Self { from, to }))
    }
}

/// An IPv4 address as one, on a socket of both families too.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_that_nobody_captured_has_no_other_destination() {
        for address in ["127.0.0.1:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address).await else {
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let _client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            assert_eq!(Ends::of(&stream).unwrap(), None, "{address}");
        }
    }
}
