//! The command line of the demo.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use ramgate_lab::EngineKind;

/// Shows what ramgate does: a real Docker Engine behind it, as a transcript of what a user types and reads.
///
/// The engine, the registries that stand in for Docker Hub and ghcr.io, and ramgate run in namespaces of their own: nothing of this
/// machine is touched, and nothing outside of it is reached. Each step is checked; the first that does not end as it should ends
/// the demo.
#[derive(Debug, Parser)]
#[command(name = "demo", max_term_width = 100, after_help = AFTER)]
pub(crate) struct Arguments {
    /// The Docker Engine to show it on.
    #[arg(long, value_name = "ENGINE", default_value = NEWEST, value_parser = engine())]
    pub(crate) engine: EngineKind,
    /// The ramgate to show.
    #[arg(long, value_name = "FILE", default_value = "target/release/ramgate")]
    pub(crate) ramgate: PathBuf,
}

fn engine() -> impl clap::builder::TypedValueParser<Value = EngineKind> {
    PossibleValuesParser::new(ENGINES.map(|(name, _)| name)).try_map(|given| {
        let found = ENGINES.iter().find(|(name, _)| *name == given);
        found.map(|(_, kind)| *kind).ok_or("no such engine")
    })
}

const NEWEST: &str = "28.5";
const ENGINES: [(&str, EngineKind); 4] = [
    ("20.10", EngineKind::Docker20_10),
    ("26.1", EngineKind::Docker26_1),
    (NEWEST, EngineKind::Docker28_5),
    ("28.5-containerd", EngineKind::Docker28_5Containerd),
];

const AFTER: &str = "\
Needs root, and what `make provision` installs; `make demo` sees to both.
With NO_COLOR set, or not on a terminal, it prints plain text.

Examples:
  make demo
  make build && sudo -E cargo run -p ramgate-lab --bin demo -- --engine 20.10

Exit codes: 0 all went as it should, 1 something did not, 64 wrong usage, 130 interrupted.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_of_the_lab_can_be_asked_for() {
        for kind in EngineKind::ALL {
            assert!(ENGINES.iter().any(|(_, known)| *known == kind), "{kind}");
        }
        for (name, kind) in ENGINES {
            let arguments = Arguments::try_parse_from(["demo", "--engine", name]).unwrap();
            assert_eq!(arguments.engine, kind);
        }
        assert!(Arguments::try_parse_from(["demo", "--engine", "19.03"]).is_err());
    }
}
