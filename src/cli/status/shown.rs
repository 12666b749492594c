//! What was found, on one screen.

use std::io::{self, IsTerminal as _};

use super::found::Found;
use crate::cli::audit::{line, printable};
use crate::cli::quantity::{age, size};
use crate::cli::{CommandError, say};
use crate::engine_report::Chain;
use crate::nft::Standing;
use crate::settings::Settings;

/// Prints it.
pub(super) fn show(found: &Found, settings: &Settings) -> Result<(), CommandError> {
    show_ramgate(found, settings)?;
    for gate in &found.gates {
        let word = if gate.listens {
            "listens at"
        } else {
            "DOES NOT LISTEN at"
        };
        say(format_args!("{:<9} {word} {}", gate.name, gate.address))?;
    }
    if let Some(rules) = &found.rules {
        show_rules(rules)?;
    }
    if let Some(bytes) = found.mirror_bytes {
        say(format_args!("cache     {}", size(bytes)))?;
    }
    show_engine(found, settings)?;
    say("\nlast denials")?;
    if found.denials.is_empty() {
        say("  none")?;
    }
    for denial in &found.denials {
        say(format_args!(
            "  {}",
            line(denial, io::stdout().is_terminal())
        ))?;
    }
    Ok(())
}

fn show_rules(rules: &Standing) -> Result<(), CommandError> {
    let mend = "`ramgate egress nft apply`";
    match rules {
        Standing::InForce => say("firewall  sends what containers fetch to the network gate"),
        Standing::Elsewhere => say(format_args!(
            "firewall  SENDS what containers fetch WHERE NO GATE LISTENS: {mend}"
        )),
        Standing::Absent => say(format_args!(
            "firewall  DOES NOT SEND what containers fetch to the network gate: {mend}"
        )),
        Standing::Unknown(error) => say(format_args!("firewall  CANNOT BE ASKED: {error}")),
    }
}

fn show_ramgate(found: &Found, settings: &Settings) -> Result<(), CommandError> {
    let path = settings.policy_path.display();
    let vitals = match &found.vitals {
        Ok(Some(vitals)) => vitals,
        Ok(None) => {
            say(
                "ramgate   DOES NOT RUN, or you may not ask it: `systemctl status ramgate`, as root",
            )?;
            return say(format_args!("policy    {path}"));
        }
        Err(error) => {
            say(format_args!("ramgate   CANNOT BE ASKED: {error}"))?;
            return say(format_args!("policy    {path}"));
        }
    };
    let (version, pid) = (&vitals.version, vitals.pid);
    let since = age(vitals.since, found.now);
    say(format_args!(
        "ramgate   {version}, for {since}, process {pid}"
    ))?;
    let mode = if vitals.enforces {
        "enforce"
    } else {
        "AUDIT: what would be denied passes"
    };
    let read = age(vitals.policy.since, found.now);
    say(format_args!(
        "policy    {path}, mode {mode}, read {read} ago"
    ))?;
    match &vitals.policy.error {
        Some(error) => say(format_args!(
            "          NOT TAKEN as it is now: {}",
            printable(error)
        )),
        None => Ok(()),
    }
}

fn show_engine(found: &Found, settings: &Settings) -> Result<(), CommandError> {
    match &found.engine {
        Ok(engine) => say(format_args!(
            "engine    Docker {}, API {}, at {}",
            engine.version,
            engine.api_version,
            settings.engine_socket.display()
        ))?,
        Err(error) => say(format_args!("engine    DOES NOT ANSWER: {error}"))?,
    }
    match &found.chain {
        Ok(Chain::Asked { plugin, .. }) => say(format_args!(
            "          asks ramgate, as plugin `{plugin}`: a request that must be denied was"
        )),
        Ok(Chain::NotAsked) => {
            say("          DOES NOT ASK ramgate: set `authorization-plugins` in daemon.json")
        }
        Ok(Chain::Broken(error)) => say(format_args!("          CANNOT ASK ramgate: {error}")),
        // Said above.
        Err(_) => Ok(()),
    }
}
