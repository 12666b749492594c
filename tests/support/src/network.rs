//! The lab's two networks: who has which address, and how a thread of the test gets a socket inside one.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// An address of the network between the engine and the stand-ins. Not loopback: Go never asks a proxy for a loopback address.
pub(crate) const fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 231, 0, last))
}

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Network(File);

// === impl Network ===

impl Network {
    /// Opens the namespace that `path` stands for, as in `/proc/1/ns/net` or `/run/netns/upstream`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)
            .with_context(|| format!("opening the network namespace `{}`", path.display()))?;
        Ok(Self(file))
    }

    pub(crate) fn listen(&self, address: SocketAddr) -> Result<TcpListener> {
        self.with(|| TcpListener::bind(address))
            .with_context(|| format!("listening on {address}"))
    }

    pub(crate) fn receive(&self, address: SocketAddr) -> Result<UdpSocket> {
        self.with(|| UdpSocket::bind(address))
            .with_context(|| format!("receiving at {address}"))
    }

    pub(crate) fn connect(&self, address: SocketAddr, timeout: Duration) -> Result<TcpStream> {
        self.with(|| TcpStream::connect_timeout(&address, timeout))
            .with_context(|| format!("connecting to {address}"))
    }

    /// Makes a socket on a thread that has moved into the namespace. A socket stays in the namespace it was made in.
    fn with<T: Send>(&self, socket: impl FnOnce() -> std::io::Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
                    socket()
                })
                .join()
        })
        .map_err(|_panic| anyhow!("the thread in the network namespace panicked"))?
        .map_err(Into::into)
    }
}
