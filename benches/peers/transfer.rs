//! The mirror with a cold cache, beside a download without it; and what many slow clients cost it in memory.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http::Request;
use http::header::HOST;
use http_body_util::Full;
use hyper::body::Bytes;

use crate::Bench;
use crate::content::{self, BLOB_BYTES, Content, REPOSITORY};
use crate::link::Link;
use crate::load::{Address, Expected, Load};
use crate::peer::{self, Peer};
use crate::policy::{self, FEW};
use crate::ramgate::Ramgate;
use crate::rounds::{Figure, Unit, alternate};
use crate::table::Table;

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let blob = content::noise();
    if bench.wants(COLD) {
        let link = Link::start(blob.clone(), 100e6)?;
        cold(bench, table, COLD, &link, &blob, 1, 1.0 / 1.03)?;
    }
    if bench.wants(FIFTY) {
        let part = blob.get(..64 * 1024 * 1024).unwrap_or(&blob);
        let link = Link::start(part.to_vec(), 10e6)?;
        cold(bench, table, FIFTY, &link, part, CLIENTS, 1.0 / 1.1)?;
    }
    if bench.wants(BYTES) {
        let part = blob.get(..64 * 1024 * 1024).unwrap_or(&blob);
        upstream_bytes(bench, table, part)?;
    }
    if bench.wants(MEMORY) {
        memory(bench, table)?;
    }
    Ok(())
}

/// Time until all clients of a mirror that has nothing have the blob, beside that of one client without a mirror.
fn cold(
    bench: &Bench,
    table: &mut Table,
    case: &str,
    link: &Link,
    blob: &[u8],
    clients: usize,
    aim: f64,
) -> Result<()> {
    let digest = content::digest(blob);
    let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
    let policy = policy::text(FEW);
    let length = blob.len() as u64;
    let pair = alternate(
        bench.rounds.min(ROUNDS_MAX),
        || {
            // Anew each time: it has nothing.
            let ramgate = Ramgate::start(&bench.ramgate, &policy, link.address)?;
            link.take_sent();
            let time = pull(ramgate.mirror, &path, length, clients)?;
            let sent = link.take_sent();
            ensure!(sent == length, "{sent} bytes were fetched for {length}");
            Ok(time)
        },
        || pull(link.address, &path, length, 1),
    )?;
    table.add(case, "one direct download", pair, Some(aim));
    Ok(())
}

/// What fifty clients of a mirror that has nothing cost its upstream, beside what they cost that of docker-registry.
fn upstream_bytes(bench: &Bench, table: &mut Table, blob: &[u8]) -> Result<()> {
    let Some(program) = peer::registry_program() else {
        table.skip(BYTES, peer::NO_REGISTRY);
        return Ok(());
    };
    let path = format!("/v2/{REPOSITORY}/blobs/{}", content::digest(blob));
    let length = blob.len() as u64;
    // Fast: what is asked is how much, and not how long.
    let link = Link::start(blob.to_vec(), 1e9)?;
    let sent = |address| {
        link.take_sent();
        pull(address, &path, length, CLIENTS)?;
        Ok(resident(link.take_sent()))
    };
    let pair = alternate(
        bench.rounds.min(ROUNDS_MAX),
        || {
            let ramgate = Ramgate::start(&bench.ramgate, &policy::text(FEW), link.address)?;
            sent(ramgate.mirror)
        },
        || {
            let directory = tempfile::tempdir()?;
            let storage = directory.path().join("proxy");
            let registry = Peer::registry(&program, &storage, Some(link.address))?;
            sent(registry.address)
        },
    )?;
    table.add(BYTES, "docker-registry", pair, None);
    Ok(())
}

fn pull(address: SocketAddr, path: &str, length: u64, clients: usize) -> Result<Figure> {
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .body(Full::<Bytes>::default())?;
    let load = Load {
        address: Address::Tcp(address),
        request,
        connections: clients,
        requests: 1,
        time: Duration::from_secs(1),
        rate: None,
        expected: Expected::Length(length),
    };
    let started = Instant::now();
    load.run()?;
    Ok(Figure::new(started.elapsed().as_secs_f64(), Unit::Seconds))
}

/// What a server has in RAM while a thousand clients have begun to read a blob and do not go on.
fn memory(bench: &Bench, table: &mut Table) -> Result<()> {
    let Some(program) = peer::registry_program() else {
        table.skip(MEMORY, peer::NO_REGISTRY);
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let place = |name: &str| directory.path().join(name);
    let content = Content::make(&place("upstream"), &place("files"))?;
    let path = format!("/v2/{REPOSITORY}/blobs/{}", content.blob_digest);
    let upstream = Peer::registry(&program, &place("upstream"), None)?;
    let pair = alternate(
        bench.rounds.min(ROUNDS_MAX),
        || {
            let ramgate = Ramgate::start(&bench.ramgate, &policy::text(FEW), upstream.address)?;
            pull(ramgate.mirror, &path, BLOB_BYTES, 1)?;
            let _stalled = stall(ramgate.mirror, &path)?;
            Ok(resident(ramgate.server.resident_bytes()?))
        },
        || {
            // With files of its own and no upstream: as a pull-through cache it would be asking that one.
            let registry = Peer::registry(&program, &place("upstream"), None)?;
            let _stalled = stall(registry.address, &path)?;
            Ok(resident(registry.server.resident_bytes()?))
        },
    )?;
    table.add(MEMORY, "docker-registry", pair, Some(2.0));
    Ok(())
}

fn stall(address: SocketAddr, path: &str) -> Result<Vec<TcpStream>> {
    let mut stalled = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n")?;
        stalled.push(stream);
    }
    for stream in &mut stalled {
        // The first bytes of the body have come with the head, or will.
        let mut head = [0; 1024];
        stream.read_exact(&mut head)?;
        ensure!(
            head.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&head)
        );
    }
    // Until all that will be read ahead is.
    std::thread::sleep(Duration::from_secs(1));
    Ok(stalled)
}

fn resident(bytes: u64) -> Figure {
    Figure::new(bytes as f64, Unit::Bytes)
}

const COLD: &str = "transfer: cold 512 MiB blob over a link of 100 MB/s";
const FIFTY: &str = "transfer: cold 64 MiB blob over a link of 10 MB/s, 50 clients";
const BYTES: &str = "transfer: bytes from upstream, cold 64 MiB blob, 50 clients";
const MEMORY: &str = "transfer: resident with 1000 blob streams";
const CLIENTS: usize = 50;
const STREAMS: usize = 1_000;
/// Each takes long, and the link is the same every time.
const ROUNDS_MAX: usize = 3;
