//! A proxy that does what any must and nothing else: reads where to, connects, carries. What it takes is the kernel's.

use std::net::{SocketAddr, TcpStream as Std};
use std::process::Command;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Proxy;
use crate::ramgate::free_address;
use crate::server::Server;

/// A running one.
#[derive(Debug)]
pub(super) struct Bare {
    address: SocketAddr,
    server: Server,
}

// === impl Bare ===

impl Bare {
    pub(super) fn start() -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--carry").arg(address.to_string());
        let server = Server::start(command, || Ok(Std::connect(address).is_ok()))?;
        Ok(Self { address, server })
    }

    pub(super) const fn proxy(&self) -> Proxy<'_> {
        Proxy {
            address: self.address,
            server: &self.server,
        }
    }
}

/// Serves until it is killed, on a runtime made as `ramgate serve` makes its own.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(carry(stream));
        }
    })
}

async fn carry(mut near: TcpStream) -> Result<()> {
    near.set_nodelay(true)?;
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if near.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = std::str::from_utf8(&head)?;
    let target: SocketAddr = line.split(' ').nth(1).context("no target")?.parse()?;
    let mut far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
