//! A blob of a registry through a tunnel that is read, beside the same through one that is not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, StreamOwned};
use serde_json::json;

use super::tunnel;
use crate::Bench;
use crate::ramgate::Ramgate;
use crate::rounds::{Figure, Pair, Unit, alternate};
use crate::table::Table;

pub(super) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (case, link) in [(UNBOUND, None), (GIGABIT, Some(GIGABIT_BYTES_PER_SECOND))] {
        if bench.wants(case) {
            table.add(
                case,
                "the same without a gate",
                pair(bench, link)?,
                Some(0.7),
            );
        }
    }
    Ok(())
}

/// Through the gate and past it, from a registry that is behind a link of so many bytes a second, or beside us.
#[expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there is made by naming it"
)]
fn pair(bench: &Bench, link: Option<f64>) -> Result<Pair> {
    let registry = Registry::start(link)?;
    let policy = format!(r#"{{ "version": 1, "registries": [{{ "host": "{HOST}" }}] }}"#);
    let gate = Ramgate::start_with(
        &bench.ramgate,
        &policy,
        registry.address,
        |settings, directory| {
            let ca = directory.join("registry-ca.pem");
            std::fs::write(&ca, &registry.ca)?;
            let url = format!("https://{}", registry.address);
            settings["mirror"]["upstreams"][HOST] = json!({ "url": url, "ca-file": ca });
            settings["egress"]["inspect"] = json!(true);
            Ok(())
        },
    )?;
    let pem = std::fs::read(gate.directory().join("inspection-ca.pem"))?;
    let of_gate = trusting(&pem)?;
    let of_registry = trusting(registry.ca.as_bytes())?;
    alternate(
        bench.rounds,
        || {
            let stream = tunnel::to(gate.egress, &format!("{HOST}:443"))?;
            let cpu = gate.server.cpu_seconds()?;
            let figure = fetch(stream, &of_gate)?;
            let cpu = gate.server.cpu_seconds()? - cpu;
            Ok(Figure {
                cpu: Some(cpu / (BYTES as f64 / 1e9)),
                ..figure
            })
        },
        || fetch(TcpStream::connect(registry.address)?, &of_registry),
    )
}

/// A registry with one blob, over TLS.
struct Registry {
    address: SocketAddr,
    ca: String,
}

// === impl Registry ===

impl Registry {
    fn start(link: Option<f64>) -> Result<Self> {
        let authority = ramgate_lab::Authority::new()?;
        let config = authority.server(&[HOST, "127.0.0.1"])?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config)?;
                    answer(StreamOwned::new(connection, stream), link)
                });
            }
        });
        let ca = authority.pem().to_owned();
        Ok(Self { address, ca })
    }
}

/// One blob after the other, whatever is asked for.
fn answer(mut stream: impl Read + Write, link: Option<f64>) -> Result<()> {
    let piece = vec![0x5a; PIECE_BYTES];
    while head(&mut stream)?.is_some() {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {BYTES}\r\n\r\n")?;
        let started = Instant::now();
        for sent in 1..=BYTES / PIECE_BYTES {
            stream.write_all(&piece)?;
            if let Some(bytes_per_second) = link {
                let due = Duration::from_secs_f64((sent * PIECE_BYTES) as f64 / bytes_per_second);
                std::thread::sleep(due.saturating_sub(started.elapsed()));
            }
        }
        stream.flush()?;
    }
    Ok(())
}

fn fetch(stream: TcpStream, config: &Arc<ClientConfig>) -> Result<Figure> {
    let name = ServerName::try_from(HOST)?;
    let connection = ClientConnection::new(Arc::clone(config), name)?;
    let mut stream = StreamOwned::new(connection, stream);
    let started = Instant::now();
    let digest = "5a".repeat(32);
    write!(
        stream,
        "GET /v2/acme/app/blobs/sha256:{digest} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    )?;
    let head = head(&mut stream)?.context("no answer")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (mut buffer, mut left) = (vec![0; PIECE_BYTES], BYTES);
    while left > 0 {
        let length = stream.read(&mut buffer)?;
        ensure!(length > 0, "{left} bytes are missing");
        left = left.saturating_sub(length);
    }
    let rate = BYTES as f64 / started.elapsed().as_secs_f64();
    Ok(Figure::new(rate, Unit::BytesPerSecond))
}

/// A head, byte by byte; none where the connection ends.
fn head(stream: &mut impl Read) -> Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.extend(byte);
    }
    Ok(Some(String::from_utf8(head)?))
}

fn trusting(pem: &[u8]) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

const UNBOUND: &str = "egress: 512 MiB blob of a registry on this machine, inspected";
const GIGABIT: &str = "egress: 512 MiB blob of a registry behind 1 Gbit/s, inspected";
const GIGABIT_BYTES_PER_SECOND: f64 = 125e6;
const HOST: &str = "registry.acme.example";
const BYTES: usize = 512 * 1024 * 1024;
const PIECE_BYTES: usize = 256 * 1024;
