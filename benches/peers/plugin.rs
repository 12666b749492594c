//! Requests in a second through the plugin's socket, beside a plugin that always says yes. ramgate stands beside a real engine,
//! which it asks what an image is.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use ramgate_lab::{EngineKind, Lab, LabOptions, Steering};

use crate::Bench;
use crate::load::{Address, Expected, Load, TIME, at};
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
            for connections in [1, 16] {
                let case = format!("plugin: {}, {rules} rules, {}", asked.name, at(connections));
                if !bench.wants(&case) {
                    continue;
                }
                let pair = compare(bench.rounds, &asked, connections, &ours, &peer)?;
                let aim = if asked.judged { 0.9 } else { 0.97 };
                table.add(case, "null", pair, Some(aim));
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
    let request = asked.request()?;
    let run = |side: &Side, allowed: bool| -> Result<Figure> {
        let answer = if allowed { ALLOW } else { DENY };
        let load = Load {
            address: side.address.clone(),
            request: request.clone(),
            connections,
            requests: usize::MAX,
            time: TIME,
            expected: Expected::Prefix(answer),
        };
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

const KIND: EngineKind = EngineKind::Docker28_5;
const ALLOW: &str = r#"{"Allow":true}"#;
const DENY: &str = r#"{"Allow":false,"#;
