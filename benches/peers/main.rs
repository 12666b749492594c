//! ramgate beside its peers: each case is measured in alternating rounds against something that does less or the same, in the
//! same run on the same machine. What is told is the ratio of the two, since a number alone says more of the machine.
//!
//! `make bench` runs all parts, `make bench ARGS=plugin` one, `make bench ARGS=--json` prints JSON.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a table is printed, and which part is at work"
)]

mod content;
mod decision;
mod egress;
mod engine;
mod footprint;
mod link;
mod load;
mod machine;
mod message;
mod mirror;
mod null;
mod peer;
mod plugin;
mod policy;
mod ramgate;
mod rounds;
mod scale;
mod server;
mod table;
mod transfer;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::machine::Machine;
use crate::ramgate::Binary;
use crate::table::Table;

/// Benchmarks ramgate beside its peers.
#[derive(Debug, Parser)]
struct Arguments {
    /// What is measured; all of it, unless named.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Rounds of each measurement; the medians count.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Only cases of the plugin, the mirror and egress whose names hold this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Another build to measure instead of the one beside this benchmark.
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_ramgate"))]
    ramgate: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Be the peer of the plugin instead: say yes at a Unix socket.
    #[arg(long, value_name = "SOCKET", hide = true)]
    say_yes: Option<PathBuf>,
    /// Be a peer of the network gate instead: carry whatever comes to this address.
    #[arg(long, value_name = "ADDRESS", hide = true)]
    carry: Option<SocketAddr>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The decision, in process, by the number of rules.
    Decision,
    /// The authorization plugin, beside one that always says yes.
    Plugin,
    /// The mirror with a warm cache, beside docker-registry and nginx.
    Mirror,
    /// The mirror with a cold cache, beside downloads without it; and its memory with many clients.
    Transfer,
    /// The mirror with a million manifests, beside a thousand. Takes some minutes and 8 GB.
    Scale,
    /// The network gate, beside squid; and inspection beside none.
    Egress,
    /// What the plugin adds to creating and starting a container.
    Engine,
    /// Size, memory and time to start, beside docker-registry.
    Footprint,
}

/// What every part is measured with.
#[derive(Debug)]
struct Bench {
    ramgate: Binary,
    rounds: usize,
    only: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(socket) = &arguments.say_yes {
        return null::serve(socket);
    }
    if let Some(address) = arguments.carry {
        return egress::carry(address);
    }
    let bench = Bench {
        ramgate: Binary::copy(&arguments.ramgate)?,
        rounds: arguments.rounds.into(),
        only: arguments.only,
    };
    let mut table = Table::new(Machine::look(bench.rounds));
    for part in Part::value_variants() {
        if arguments.parts.is_empty() || arguments.parts.contains(part) {
            eprintln!("measuring {part:?} …");
            part.measure(&bench, &mut table)?;
        }
    }
    if arguments.json {
        println!("{:#}", table.to_json());
    } else {
        print!("{table}");
    }
    Ok(())
}

// === impl Bench ===

impl Bench {
    /// Whether a case of this name is wanted.
    fn wants(&self, case: &str) -> bool {
        case.contains(&self.only)
    }
}

// === impl Part ===

impl Part {
    fn measure(self, bench: &Bench, table: &mut Table) -> Result<()> {
        match self {
            Self::Decision => decision::measure(bench, table),
            Self::Plugin => plugin::measure(bench, table),
            Self::Mirror => mirror::measure(bench, table),
            Self::Transfer => transfer::measure(bench, table),
            Self::Scale => scale::measure(bench, table),
            Self::Egress => egress::measure(bench, table),
            Self::Engine => engine::measure(bench, table),
            Self::Footprint => footprint::measure(bench, table),
        }
    }
}
