//! Requests in a second through the plugin's socket, beside a plugin that always says yes. ramgate stands beside a real engine,
//! which it asks what an image is.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ramgate_lab::{EngineKind, Lab, LabOptions, Steering};

use crate::Bench;
use crate::load::{Address, Expected, Load, Seen, TIME, at};
use crate::message::{self, Asked, IMAGE};
use crate::policy::{self, FEW, MANY};
use crate::rounds::{Figure, Pair, alternate};
use crate::server::{Server, cpu_seconds};
use crate::table::Table;

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        table.skip("plugin", "a lab needs root");
        return Ok(());
    }
    if let Err(error) = KIND.version() {
        table.skip("plugin", format_args!("{error:#}; `make provision` does"));
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("null.sock");
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--say-yes").arg(&socket);
    let null = Server::start(command, || Ok(socket.exists()))?;
    let peer = Side {
        address: Address::Unix(socket),
        proc: null.proc(),
    };
    let lab = stage(bench)?;
    for rules in [FEW, MANY] {
        lab.stop_ramgate()?;
        lab.write_policy(&serde_json::from_str(&policy::text(rules))?)?;
        lab.start_ramgate()?;
        let pid = lab.ramgate_pid().context("ramgate left")?;
        let ours = Side {
            address: Address::Unix(lab.path("/run/docker/plugins/ramgate.sock")),
            proc: lab.path("/proc").join(pid.to_string()),
        };
        for asked in message::all()? {
            for connections in [1, MANY_AT_ONCE] {
                let case = format!("plugin: {}, {rules} rules, {}", asked.name, at(connections));
                if !bench.wants(&case) {
                    continue;
                }
                let pair = compare(bench.rounds, &asked, connections, &ours, &peer)?;
                let aim = if asked.judged { 0.9 } else { 0.97 };
                table.add(case, "null", pair, Some(aim));
            }
            let case = format!(
                "plugin: {}, {rules} rules, {RATE}/s over {MANY_AT_ONCE} connections",
                asked.name
            );
            if rules == FEW && bench.wants(&case) {
                let [p50, p99] = at_a_rate(bench.rounds, &asked, &ours, &peer)?;
                table.add(format!("{case}, p50"), "null", p50, None);
                table.add(format!("{case}, p99"), "null", p99, None);
            }
        }
    }
    Ok(())
}

/// An engine that asks ramgate, and has pulled [`IMAGE`] with its leave.
fn stage(bench: &Bench) -> Result<Lab> {
    let lab = Lab::start(KIND, &LabOptions::default())?;
    let policy = serde_json::from_str(&policy::text(FEW))?;
    lab.install_ramgate(&bench.ramgate.path(), &policy, &Lab::settings())?;
    lab.start_ramgate()?;
    lab.steer_engine(Steering {
        plugin: true,
        ..Steering::default()
    })?;
    lab.start_engine()?;
    lab.docker(&["pull", IMAGE])?.expect_success()?;
    Ok(lab)
}

/// One of the two.
struct Side {
    address: Address,
    /// Where the kernel tells of its process.
    proc: PathBuf,
}

fn compare(
    rounds: usize,
    asked: &Asked,
    connections: usize,
    ours: &Side,
    peer: &Side,
) -> Result<Pair> {
    let run = |side: &Side, allowed: bool| -> Result<Figure> {
        let load = load(side, asked, allowed, connections)?;
        let before = cpu_seconds(&side.proc)?;
        let seen = load.run()?;
        let cpu = (cpu_seconds(&side.proc)? - before) / seen.count() as f64;
        Ok(Figure {
            cpu: Some(cpu),
            ..seen.requests()
        })
    };
    alternate(rounds, || run(ours, asked.allowed), || run(peer, true))
}

/// At a fixed rate, as an engine at work has it: what half of the requests and what all but one in a hundred take at most.
fn at_a_rate(rounds: usize, asked: &Asked, ours: &Side, peer: &Side) -> Result<[Pair; 2]> {
    let run = |side: &Side, allowed: bool| -> Result<Seen> {
        let load = load(side, asked, allowed, MANY_AT_ONCE)?;
        let load = Load {
            rate: Some(RATE),
            time: RATE_TIME,
            ..load
        };
        load.run()
    };
    let (mut all_ours, mut all_peer) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (mut mine, mut theirs);
        if round % 2 == 0 {
            mine = run(ours, asked.allowed)?;
            theirs = run(peer, true)?;
        } else {
            theirs = run(peer, true)?;
            mine = run(ours, asked.allowed)?;
        }
        // The first round finds nothing warm.
        if round > 0 {
            all_ours.push(PARTS.map(|part| mine.latency(part)));
            all_peer.push(PARTS.map(|part| theirs.latency(part)));
        }
    }
    let part = |all: &[[Figure; 2]], index: usize| -> Vec<Figure> {
        all.iter()
            .filter_map(|figures| figures.get(index).cloned())
            .collect()
    };
    Ok([0, 1].map(|index| Pair::of(&part(&all_ours, index), &part(&all_peer, index))))
}

fn load(side: &Side, asked: &Asked, allowed: bool, connections: usize) -> Result<Load> {
    Ok(Load {
        address: side.address.clone(),
        request: asked.request()?,
        connections,
        requests: usize::MAX,
        time: TIME,
        rate: None,
        expected: Expected::Prefix(if allowed { ALLOW } else { DENY }),
    })
}

const MANY_AT_ONCE: usize = 16;
/// In a second: more than any engine known to us is asked.
const RATE: u32 = 1_000;
/// Long enough for a p99.
const RATE_TIME: Duration = Duration::from_secs(1);
const PARTS: [f64; 2] = [0.5, 0.99];
const KIND: EngineKind = EngineKind::Docker28_5;
const ALLOW: &str = r#"{"Allow":true}"#;
const DENY: &str = r#"{"Allow":false,"#;
