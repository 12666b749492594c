//! What it takes to have ramgate: bytes on the disk and in memory, and time to start. Beside docker-registry as a cache, which
//! does a part of it.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;

use crate::Bench;
use crate::peer::{self, Peer};
use crate::policy::{self, FEW, MANY};
use crate::ramgate::Ramgate;
use crate::rounds::{Figure, Pair, Unit};
use crate::table::Table;

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let Some(program) = peer::registry_program() else {
        table.skip("footprint", peer::NO_REGISTRY);
        return Ok(());
    };
    table.version(peer::version("docker-registry", &program, "--version"));
    let directory = tempfile::tempdir()?;
    let upstream = Peer::registry(&program, &directory.path().join("upstream"), None)?;
    let size = |path| Ok::<_, anyhow::Error>(bytes(std::fs::metadata(path)?.len()));
    let sizes = Pair::of(&[size(bench.ramgate.path())?], &[size(program.clone())?]);
    table.add("footprint: program", NAME, sizes, None);

    for rules in [FEW, MANY] {
        let policy = policy::text(rules);
        let (mut ready, mut memory) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for round in 0..bench.rounds {
            let (mine, idle) = ours(bench, &policy, upstream.address)?;
            ready.0.push(mine);
            memory.0.push(idle);
            let started = Instant::now();
            let storage = directory.path().join(format!("proxy-{rules}-{round}"));
            let registry = Peer::registry(&program, &storage, Some(upstream.address))?;
            ready
                .1
                .push(Figure::new(started.elapsed().as_secs_f64(), Unit::Seconds));
            memory.1.push(bytes(registry.server.resident_bytes()?));
        }
        for (what, (ours, peer)) in [("start to ready", &ready), ("resident when idle", &memory)] {
            let case = format!("footprint: {what}, {rules} rules");
            table.add(case, NAME, Pair::of(ours, peer), None);
        }
    }
    Ok(())
}

/// The time to be ready, and the memory then.
fn ours(bench: &Bench, policy: &str, upstream: SocketAddr) -> Result<(Figure, Figure)> {
    let ramgate = Ramgate::start(&bench.ramgate, policy, upstream)?;
    let ready = Figure::new(ramgate.ready_in.as_secs_f64(), Unit::Seconds);
    Ok((ready, bytes(ramgate.server.resident_bytes()?)))
}

fn bytes(count: u64) -> Figure {
    Figure::new(count as f64, Unit::Bytes)
}

const NAME: &str = "docker-registry";
