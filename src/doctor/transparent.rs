//! Whether what containers fetch by themselves is sent to the network gate, where the settings say that it takes it.

use super::{Facts, Finding};
use crate::nft::{Ruleset, program};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let egress = facts.settings.egress.as_ref();
    let Some(transparent) = egress.and_then(|egress| egress.transparent.as_ref()) else {
        return Vec::new();
    };
    let apply = "run `ramgate egress nft apply`, and enable `ramgate-nft.service` for it to last";
    let finding = match program::table() {
        Ok(Some(table)) if Ruleset::leads_to(&table, transparent.listen) => Finding::ok(
            "containers",
            "what they fetch by themselves is sent to the network gate",
        ),
        Ok(Some(_)) => Finding::bad(
            "containers",
            format!(
                "the firewall's rules are there, and lead nowhere that ramgate listens ({})",
                transparent.listen
            ),
            apply,
        ),
        Ok(None) => Finding::bad(
            "containers",
            "what they fetch by themselves goes past the network gate: its rules are not in force",
            apply,
        ),
        Err(error) => Finding::warning(
            "containers",
            format!("whether what they fetch by themselves is judged is not known: {error:#}"),
            "ask again as root, with `nft` installed",
        ),
    };
    vec![finding]
}
