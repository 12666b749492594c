//! Whether what containers fetch by themselves is sent to the network gate, where the settings say that it takes it.

use std::net::SocketAddr;

use super::{Facts, Finding};
use crate::nft::{Ruleset, program};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let egress = facts.settings.egress.as_ref();
    let Some(transparent) = egress.and_then(|egress| egress.transparent.as_ref()) else {
        return Vec::new();
    };
    vec![finding(program::table(), transparent.listen)]
}

/// `table`: our rules as the firewall lists them.
fn finding(table: anyhow::Result<Option<String>>, listen: SocketAddr) -> Finding {
    let apply = "run `ramgate egress nft apply`, and enable `ramgate-nft.service` for it to last";
    match table {
        Ok(Some(table)) if Ruleset::leads_to(&table, listen) => Finding::ok(
            "containers",
            "what they fetch by themselves is sent to the network gate",
        ),
        Ok(Some(_)) => Finding::bad(
            "containers",
            format!(
                "the firewall's rules are there, and lead nowhere that ramgate listens ({listen})"
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
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::tests::check;
    use super::*;

    #[test]
    fn rules_that_are_missing_or_lead_elsewhere_are_bad() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 5054));
        let table = |port| {
            Ok(Some(format!(
                "chain x {{\n\ttcp dport 443 redirect to :{port}\n}}\n"
            )))
        };
        assert_eq!(finding(table(5054), listen).health, Health::Ok);
        let apply = "run `ramgate egress nft apply`";
        check(
            &[finding(table(5055), listen)],
            Health::Bad,
            "lead nowhere that ramgate listens (0.0.0.0:5054)",
            apply,
        );
        check(
            &[finding(Ok(None), listen)],
            Health::Bad,
            "goes past the network gate",
            apply,
        );
        let error = Err(anyhow::anyhow!("no `nft`"));
        check(
            &[finding(error, listen)],
            Health::Warning,
            "is not known: no `nft`",
            "as root, with `nft` installed",
        );
    }
}
