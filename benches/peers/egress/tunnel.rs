//! A client's side of a tunnel.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, ensure};

/// Opens a tunnel.
pub(super) fn open(proxy: SocketAddr, target: SocketAddr) -> Result<TcpStream> {
    to(proxy, &target.to_string())
}

/// Opens a tunnel to a host by its name, as in `registry.example:443`.
pub(super) fn to(proxy: SocketAddr, target: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.set_nodelay(true)?;
    let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    // Nothing comes behind the head before something was sent. By pieces, for what the client costs the proxy does not get.
    let (mut answer, mut piece) = (Vec::new(), [0; 512]);
    while !answer.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut piece)?;
        ensure!(length > 0, "the proxy closed");
        answer.extend_from_slice(piece.get(..length).unwrap_or_default());
    }
    ensure!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(stream)
}

/// A byte there and back.
pub(super) fn use_once(proxy: SocketAddr, target: SocketAddr) -> Result<()> {
    let mut stream = open(proxy, target)?;
    stream.write_all(b"x")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(())
}

/// Asks for what there is, and counts it.
pub(super) fn drain(proxy: SocketAddr, target: SocketAddr) -> Result<u64> {
    let mut stream = open(proxy, target)?;
    stream.write_all(b"x")?;
    let (mut buffer, mut total) = (vec![0; BUFFER_BYTES], 0);
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            ensure!(total > 0, "nothing came");
            return Ok(total);
        }
        total += u64::try_from(length)?;
    }
}

const BUFFER_BYTES: usize = 256 * 1024;
