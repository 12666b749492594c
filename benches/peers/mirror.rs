//! The mirror with a warm cache, beside docker-registry as a pull-through cache of the same upstream, and nginx with files.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http::Request;
use http::header::{ACCEPT, HOST};
use http_body_util::Full;
use hyper::body::Bytes;

use crate::Bench;
use crate::content::{self, BLOB_BYTES, Content, MANIFEST, REPOSITORY};
use crate::load::{Address, Expected, Load, TIME, at};
use crate::peer::{self, Peer};
use crate::policy::{self, FEW};
use crate::ramgate::Ramgate;
use crate::rounds::{Figure, alternate};
use crate::server::Server;
use crate::table::Table;

/// Something that is asked for.
struct Asked {
    name: &'static str,
    kind: Kind,
    path: String,
    /// As nginx has it.
    file: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tag,
    Digest,
    Blob,
}

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let Some(program) = peer::registry_program() else {
        table.skip("mirror", peer::NO_REGISTRY);
        return Ok(());
    };
    table.version(peer::version("docker-registry", &program, "--version"));
    let directory = tempfile::tempdir()?;
    let place = |name: &str| directory.path().join(name);
    let content = Content::make(&place("upstream"), &place("files"))?;
    let asked = Asked::all(&content);
    let upstream = Peer::registry(&program, &place("upstream"), None)?;
    let registry = Peer::registry(&program, &place("proxy"), Some(upstream.address))?;
    let ramgate = Ramgate::start(&bench.ramgate, &policy::text(FEW), upstream.address)?;
    for address in [ramgate.mirror, registry.address] {
        for asked in &asked {
            asked.load(address, &asked.path, 1)?.run()?;
        }
    }
    // docker-registry keeps it after it has been served.
    wait_for(&place("proxy").join(content::blob_path(&content.blob_digest)))?;
    let beside = Beside {
        name: "docker-registry",
        peer: &registry,
        path: |asked| &asked.path,
        aim: |kind| match kind {
            Kind::Tag => Some(50.0),
            Kind::Digest => Some(15.0),
            Kind::Blob => Some(2.0),
        },
    };
    beside.compare(bench, table, &asked, &ramgate)?;

    let Some(program) = peer::nginx_program() else {
        table.skip("mirror beside nginx", NO_NGINX);
        return Ok(());
    };
    table.version(peer::version("nginx", &program, "-v"));
    let nginx = Peer::nginx(&program, &place("files"), directory.path())?;
    let beside = Beside {
        name: "nginx, files",
        peer: &nginx,
        path: |asked| asked.file,
        aim: |kind| match kind {
            // A file knows no tags.
            Kind::Tag => None,
            Kind::Digest => Some(1.0),
            Kind::Blob => Some(1.3),
        },
    };
    beside.compare(bench, table, &asked, &ramgate)
}

/// A peer, and under which paths it has things.
struct Beside<'a> {
    name: &'static str,
    peer: &'a Peer,
    path: fn(&Asked) -> &str,
    aim: fn(Kind) -> Option<f64>,
}

// === impl Beside ===

impl Beside<'_> {
    fn compare(
        &self,
        bench: &Bench,
        table: &mut Table,
        all: &[Asked],
        ours: &Ramgate,
    ) -> Result<()> {
        for asked in all {
            for &connections in asked.connections() {
                let case = format!("mirror: {}, {}", asked.name, at(connections));
                if !bench.wants(&case) {
                    continue;
                }
                let pair = alternate(
                    bench.rounds,
                    || asked.run(&ours.server, ours.mirror, &asked.path, connections),
                    || {
                        let Peer { address, server } = self.peer;
                        asked.run(server, *address, (self.path)(asked), connections)
                    },
                )?;
                let aim = (self.aim)(asked.kind);
                let cost = pair.cpu().filter(|_| asked.kind == Kind::Blob);
                table.add(case.clone(), self.name, pair, aim);
                if let Some(cost) = cost {
                    table.add(format!("{case}: CPU for a GB"), self.name, cost, aim);
                }
            }
        }
        Ok(())
    }
}

fn wait_for(path: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let whole = || std::fs::metadata(path).is_ok_and(|file| file.len() == BLOB_BYTES);
    while !whole() {
        ensure!(
            Instant::now() < deadline,
            "docker-registry has not kept the blob"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

// === impl Asked ===

impl Asked {
    fn all(content: &Content) -> [Self; 3] {
        let path = |rest: String| format!("/v2/{REPOSITORY}/{rest}");
        let manifest = |name, kind, pointer: &str| Self {
            name,
            kind,
            path: path(format!("manifests/{pointer}")),
            file: "/manifest",
        };
        [
            manifest("manifest by tag", Kind::Tag, "latest"),
            manifest("manifest by digest", Kind::Digest, &content.manifest_digest),
            Self {
                name: "512 MiB blob",
                kind: Kind::Blob,
                path: path(format!("blobs/{}", content.blob_digest)),
                file: "/blob",
            },
        ]
    }

    fn connections(&self) -> &'static [usize] {
        match self.kind {
            Kind::Tag | Kind::Digest => &[1, 16],
            Kind::Blob => &[1, 8],
        }
    }

    fn run(
        &self,
        server: &Server,
        address: SocketAddr,
        path: &str,
        connections: usize,
    ) -> Result<Figure> {
        let before = server.cpu_seconds()?;
        let seen = self.load(address, path, connections)?.run()?;
        let spent = server.cpu_seconds()? - before;
        Ok(match self.kind {
            Kind::Tag | Kind::Digest => {
                let cpu = Some(spent / seen.count() as f64);
                Figure {
                    cpu,
                    ..seen.requests()
                }
            }
            Kind::Blob => {
                let gigabytes = BLOB_BYTES as f64 * connections as f64 / 1e9;
                let cpu = Some(spent / gigabytes);
                Figure {
                    cpu,
                    ..seen.throughput()
                }
            }
        })
    }

    fn load(&self, address: SocketAddr, path: &str, connections: usize) -> Result<Load> {
        let request = Request::get(path)
            .header(HOST, address.to_string())
            .header(ACCEPT, MANIFEST)
            .body(Full::<Bytes>::default())?;
        let (requests, expected) = match self.kind {
            Kind::Tag | Kind::Digest => (usize::MAX, Expected::Prefix("{")),
            Kind::Blob => (1, Expected::Length(BLOB_BYTES)),
        };
        Ok(Load {
            address: Address::Tcp(address),
            request,
            connections,
            requests,
            time: TIME,
            rate: None,
            expected,
        })
    }
}

const NO_NGINX: &str = "there is no nginx; `make bench` unpacks one into the cache, on Debian";
