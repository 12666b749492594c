//! The network gate beside squid: tunnels made, bytes carried, memory for those that wait; and what reading costs beside not.

mod bare;
mod inspect;
mod squid;
mod target;
mod tunnel;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

pub(crate) use self::bare::serve as carry;

use self::bare::Bare;
use self::squid::Squid;
use self::target::Target;
use crate::Bench;
use crate::ramgate::Ramgate;
use crate::rounds::{Figure, Unit, alternate};
use crate::server::Server;
use crate::table::Table;

/// A proxy that is measured.
#[derive(Clone, Copy, Debug)]
struct Proxy<'a> {
    address: SocketAddr,
    server: &'a Server,
}

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    inspect::measure(bench, table)?;
    if bench.wants(OPEN) {
        let target = Target::echo()?;
        let (ramgate, bare) = (gate(bench, target.address)?, Bare::start()?);
        let figure = |proxy| tunnels(proxy, target.address);
        let pair = alternate(
            bench.rounds,
            || figure(of(&ramgate)),
            || figure(bare.proxy()),
        )?;
        table.add(OPEN, "one that only carries", pair, Some(0.8));
    }
    let Some(program) = squid::program() else {
        table.skip(
            "egress",
            "there is no squid; `make bench` unpacks Debian's into the cache",
        );
        return Ok(());
    };
    table.version(squid::version(&program));
    if bench.wants(OPEN) {
        let target = Target::echo()?;
        let (ramgate, squid) = (gate(bench, target.address)?, Squid::start(&program)?);
        let figure = |proxy| tunnels(proxy, target.address);
        let pair = alternate(
            bench.rounds,
            || figure(of(&ramgate)),
            || figure(squid.proxy()),
        )?;
        table.add(OPEN, "squid", pair, Some(2.0));
    }
    for (case, streams) in [(ONE, 1), (MANY, 64)] {
        if bench.wants(case) {
            let target = Target::source(BYTES / streams)?;
            let (ramgate, squid) = (gate(bench, target.address)?, Squid::start(&program)?);
            let figure = |proxy| throughput(proxy, target.address, streams);
            let pair = alternate(
                bench.rounds,
                || figure(of(&ramgate)),
                || figure(squid.proxy()),
            )?;
            table.add(case, "squid", pair, Some(1.0));
        }
    }
    if bench.wants(IDLE) {
        let target = Target::holder()?;
        let pair = alternate(
            bench.rounds.min(ROUNDS_MAX),
            || {
                let ramgate = gate(bench, target.address)?;
                idle(of(&ramgate), target.address)
            },
            || {
                let squid = Squid::start(&program)?;
                idle(squid.proxy(), target.address)
            },
        )?;
        table.add(IDLE, "squid", pair, Some(4.0));
    }
    Ok(())
}

/// ramgate, with a policy that lets tunnels through to `target`.
fn gate(bench: &Bench, target: SocketAddr) -> Result<Ramgate> {
    let policy = format!(r#"{{ "version": 1, "egress": {{ "hosts": ["{target}"] }} }}"#);
    Ramgate::start(&bench.ramgate, &policy, target)
}

fn of(ramgate: &Ramgate) -> Proxy<'_> {
    Proxy {
        address: ramgate.egress,
        server: &ramgate.server,
    }
}

/// Tunnels in a second: each made, used for a byte there and back, and closed.
fn tunnels(proxy: Proxy<'_>, target: SocketAddr) -> Result<Figure> {
    let (cpu, started) = (proxy.server.cpu_seconds()?, Instant::now());
    let counts = side_by_side(CLIENTS, || {
        let mut count = 0_u32;
        while started.elapsed() < TIME {
            tunnel::use_once(proxy.address, target)?;
            count += 1;
        }
        Ok(count)
    })?;
    let (count, elapsed) = (
        f64::from(counts.into_iter().sum::<u32>()),
        started.elapsed(),
    );
    Ok(Figure {
        cpu: Some((proxy.server.cpu_seconds()? - cpu) / count),
        ..Figure::new(count / elapsed.as_secs_f64(), Unit::PerSecond)
    })
}

/// Bytes in a second through some tunnels at once, and what a gigabyte costs.
fn throughput(proxy: Proxy<'_>, target: SocketAddr, streams: u64) -> Result<Figure> {
    let (cpu, started) = (proxy.server.cpu_seconds()?, Instant::now());
    let lengths = side_by_side(streams, || tunnel::drain(proxy.address, target))?;
    let (bytes, elapsed) = (lengths.into_iter().sum::<u64>() as f64, started.elapsed());
    Ok(Figure {
        cpu: Some((proxy.server.cpu_seconds()? - cpu) / (bytes / 1e9)),
        ..Figure::new(bytes / elapsed.as_secs_f64(), Unit::BytesPerSecond)
    })
}

/// What tunnels that wait add to the memory.
fn idle(proxy: Proxy<'_>, target: SocketAddr) -> Result<Figure> {
    // What the first ones bring along is not theirs.
    for _ in 0..64 {
        tunnel::open(proxy.address, target)?;
    }
    std::thread::sleep(SETTLE);
    let before = proxy.server.resident_bytes()?;
    let held = (0..TUNNELS).map(|_| tunnel::open(proxy.address, target));
    let held = held.collect::<Result<Vec<_>>>()?;
    std::thread::sleep(SETTLE);
    let after = proxy.server.resident_bytes()?;
    drop(held);
    Ok(Figure::new(
        after.saturating_sub(before) as f64,
        Unit::Bytes,
    ))
}

/// Does `work` on so many threads at once.
fn side_by_side<T: Send>(threads: u64, work: impl Fn() -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        let ended = running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        ended.collect()
    })
}

const OPEN: &str = "egress: tunnels made and closed, 16 clients";
const ONE: &str = "egress: 1 GB through one tunnel";
const MANY: &str = "egress: 1 GB through 64 tunnels";
const IDLE: &str = "egress: resident, added by 5000 idle tunnels";
const CLIENTS: u64 = 16;
const BYTES: u64 = 1_000_000_000;
const TUNNELS: usize = 5_000;
const TIME: Duration = Duration::from_millis(500);
/// Until what is closed is given back, and what is open has settled.
const SETTLE: Duration = Duration::from_millis(500);
const ROUNDS_MAX: usize = 3;
