//! Whether ramgate runs, the engine asks it, and what the engine fetches comes past it.

use super::{Facts, Finding};
use crate::audit_reader::last;
use crate::engine_report::Chain;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    vec![running(facts), plugin(facts), network(facts)]
}

fn running(facts: &Facts) -> Finding {
    let start = "start it: `systemctl start ramgate.socket ramgate.service`; `journalctl -u ramgate` says why it does not run";
    match &facts.vitals {
        Ok(Some(vitals)) => Finding::ok("ramgate", format!("{} runs", vitals.version)),
        Ok(None) => Finding::bad("ramgate", "it does not run, or you may not ask it", start),
        Err(error) => Finding::bad("ramgate", error.as_str(), start),
    }
}

fn plugin(facts: &Facts) -> Finding {
    if facts.settings.plugin_socket.is_none() {
        return Finding::bad(
            "plugin",
            "the settings switch the engine gate off",
            "remove `plugin.enabled` from the settings",
        );
    }
    let fix = "set `authorization-plugins` in daemon.json to [\"ramgate\"], and not by flag; restart the engine";
    match &facts.chain {
        Ok(Chain::Asked { plugin, id }) => {
            // The text could be anybody's; the line is ramgate's own.
            let logged = last(&facts.settings.audit.path, 1, |line| line.text("id") == id);
            let says =
                format!("a request that must be denied was denied, by plugin `{plugin}` (id {id})");
            match logged {
                Ok(lines) if lines.is_empty() => Finding::warning(
                    "plugin",
                    format!("{says}, and the audit log has no line of it"),
                    "another ramgate than that of these settings may have answered; see `audit.path`",
                ),
                Ok(_) => Finding::ok("plugin", format!("{says}; the audit log has it")),
                Err(_) => Finding::ok("plugin", says),
            }
        }
        Ok(Chain::NotAsked) => Finding::bad(
            "plugin",
            "the engine acted on a request that must be denied, without asking ramgate",
            fix,
        ),
        Ok(Chain::Broken(error)) | Err(error) => Finding::bad("plugin", error.as_str(), fix),
    }
}

fn network(facts: &Facts) -> Finding {
    match &facts.flight {
        Ok(Some(flight)) if flight.missing.is_empty() => Finding::ok(
            "network",
            "mirror and proxy are set, and a canary came past them",
        ),
        // As level plugin has it. What that leaves open the map says.
        Ok(Some(_)) if facts.settings.mirror.is_none() && facts.settings.egress.is_none() => {
            Finding::warning(
                "network",
                "the settings switch mirror and network gate off: what the engine fetches is judged by the names in requests alone",
                "ramgate install --level standard",
            )
        }
        Ok(Some(flight)) => {
            let seen = if flight.seen { "came" } else { "did not come" };
            Finding::bad(
                "network",
                format!("not all that the engine fetches comes past ramgate; a canary {seen}"),
                flight.missing.join("; "),
            )
        }
        Ok(None) => Finding::bad(
            "network",
            "no canary could be sent: ramgate does not run",
            "start it",
        ),
        Err(error) => Finding::bad("network", error.as_str(), "see that the engine runs"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::tests::{check as told, well};
    use super::*;
    use crate::control::CanaryFlight;

    #[test]
    fn a_ramgate_that_does_not_run_is_bad() {
        let mut well = well();
        assert_eq!(running(&well.facts).health, Health::Ok);
        well.facts.vitals = Ok(None);
        told(
            &[running(&well.facts)],
            Health::Bad,
            "it does not run",
            "start it: `systemctl start ramgate.socket",
        );
        well.facts.vitals = Err("permission denied".to_owned());
        told(
            &[running(&well.facts)],
            Health::Bad,
            "permission denied",
            "start it",
        );
    }

    #[test]
    fn what_the_engine_did_with_a_request_that_must_be_denied_is_what_counts() {
        let mut well = well();
        let asked = |id: &str| {
            Ok(Chain::Asked {
                plugin: "ramgate".to_owned(),
                id: id.to_owned(),
            })
        };
        let set = "set `authorization-plugins` in daemon.json to [\"ramgate\"], and not by flag";
        well.facts.chain = asked("00c0ffee");
        told(
            &[plugin(&well.facts)],
            Health::Warning,
            "and the audit log has no line of it",
            "another ramgate",
        );
        std::fs::write(&well.facts.settings.audit.path, "{\"id\":\"00c0ffee\"}\n").unwrap();
        assert_eq!(plugin(&well.facts).health, Health::Ok);
        well.facts.chain = Ok(Chain::NotAsked);
        told(
            &[plugin(&well.facts)],
            Health::Bad,
            "without asking ramgate",
            set,
        );
        for broken in [
            Ok(Chain::Broken("plugin not found".to_owned())),
            Err("plugin not found".to_owned()),
        ] {
            well.facts.chain = broken;
            told(&[plugin(&well.facts)], Health::Bad, "plugin not found", set);
        }
        well.facts.settings.plugin_socket = None;
        told(
            &[plugin(&well.facts)],
            Health::Bad,
            "the settings switch the engine gate off",
            "remove `plugin.enabled`",
        );
    }

    #[test]
    fn what_the_canary_did_not_come_past_is_named() {
        let mut well = well();
        assert_eq!(network(&well.facts).health, Health::Ok);
        well.facts.flight = Ok(Some(CanaryFlight {
            seen: false,
            missing: vec!["set `registry-mirrors`".to_owned()],
        }));
        told(
            &[network(&well.facts)],
            Health::Bad,
            "a canary did not come",
            "set `registry-mirrors`",
        );
        well.facts.settings.mirror = None;
        well.facts.settings.egress = None;
        told(
            &[network(&well.facts)],
            Health::Warning,
            "switch mirror and network gate off",
            "ramgate install --level standard",
        );
        well.facts.flight = Ok(None);
        told(
            &[network(&well.facts)],
            Health::Bad,
            "no canary could be sent",
            "start it",
        );
        well.facts.flight = Err("the engine is away".to_owned());
        told(
            &[network(&well.facts)],
            Health::Bad,
            "the engine is away",
            "see that the engine runs",
        );
    }
}
