//! Requests in a second through the plugin's socket, beside a plugin that always says yes.

use std::process::Command;

use anyhow::Result;

use crate::Bench;
use crate::load::{Address, Expected, Load, TIME, at};
use crate::message::{self, Asked};
use crate::policy::{self, FEW, MANY};
use crate::ramgate::{Ramgate, free_address};
use crate::rounds::{Figure, Pair, alternate};
use crate::server::Server;
use crate::table::Table;

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("null.sock");
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--say-yes").arg(&socket);
    let null = Server::start(command, || Ok(socket.exists()))?;
    for rules in [FEW, MANY] {
        // The mirror is asked for nothing here.
        let ramgate = Ramgate::start(&bench.ramgate, &policy::text(rules), free_address()?)?;
        let ours = Side {
            address: Address::Unix(ramgate.plugin_socket()),
            server: &ramgate.server,
        };
        let peer = Side {
            address: Address::Unix(socket.clone()),
            server: &null,
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

/// One of the two.
struct Side<'a> {
    address: Address,
    server: &'a Server,
}

fn compare(
    rounds: usize,
    asked: &Asked,
    connections: usize,
    ours: &Side<'_>,
    peer: &Side<'_>,
) -> Result<Pair> {
    let request = asked.request()?;
    let run = |side: &Side<'_>, allowed: bool| -> Result<Figure> {
        let answer = if allowed { ALLOW } else { DENY };
        let load = Load {
            address: side.address.clone(),
            request: request.clone(),
            connections,
            requests: usize::MAX,
            time: TIME,
            expected: Expected::Prefix(answer),
        };
        let before = side.server.cpu_seconds()?;
        let seen = load.run()?;
        let cpu = (side.server.cpu_seconds()? - before) / seen.count() as f64;
        Ok(Figure {
            cpu: Some(cpu),
            ..seen.requests()
        })
    };
    alternate(rounds, || run(ours, asked.allowed), || run(peer, true))
}

const ALLOW: &str = r#"{"Allow":true}"#;
const DENY: &str = r#"{"Allow":false,"#;
