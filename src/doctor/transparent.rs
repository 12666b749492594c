//! Whether what containers fetch by themselves is sent to the network gate, where the settings say that it takes it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Facts, Finding};
use crate::nft::Standing;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let egress = facts.settings.egress.as_ref();
    let Some(transparent) = egress.and_then(|egress| egress.transparent.as_ref()) else {
        return Vec::new();
    };
    let standing = Standing::of(transparent.listen);
    vec![finding(standing, lasts(), transparent.listen)]
}

/// `lasts`: whether the rules are put in force again when the host is restarted.
fn finding(standing: Standing, lasts: bool, listen: SocketAddr) -> Finding {
    let apply = "run `ramgate egress nft apply`, and enable `ramgate-nft.service` for it to last";
    match standing {
        Standing::InForce if lasts => Finding::ok(
            CHECK,
            "what they fetch by themselves is sent to the network gate",
        ),
        Standing::InForce => Finding::warning(
            CHECK,
            "what they fetch by themselves is sent to the network gate, until this host is restarted",
            "systemctl enable --now ramgate-nft.service",
        ),
        Standing::Elsewhere => Finding::bad(
            CHECK,
            format!(
                "the firewall's rules are there, and lead nowhere that ramgate listens ({listen})"
            ),
            apply,
        ),
        Standing::Absent => Finding::bad(
            CHECK,
            "what they fetch by themselves goes past the network gate: its rules are not in force",
            apply,
        ),
        Standing::Unknown(error) => Finding::warning(
            CHECK,
            format!("whether what they fetch by themselves is judged is not known: {error}"),
            "ask again as root, with `nft` installed",
        ),
    }
}

/// Whether they are put in force again when the host is restarted; without systemd, nobody here knows.
fn lasts() -> bool {
    let enabled = || {
        Command::new("systemctl")
            .args(["--quiet", "is-enabled", "ramgate-nft.service"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
    };
    !Path::new("/run/systemd/system").is_dir() || enabled().is_ok_and(|status| status.success())
}

const CHECK: &str = "containers";

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::tests::check;
    use super::*;

    #[test]
    fn rules_that_are_missing_or_lead_elsewhere_are_bad() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 5054));
        let finding = |standing, lasts| finding(standing, lasts, listen);
        assert_eq!(finding(Standing::InForce, true).health, Health::Ok);
        check(
            &[finding(Standing::InForce, false)],
            Health::Warning,
            "until this host is restarted",
            "systemctl enable --now ramgate-nft.service",
        );
        let apply = "run `ramgate egress nft apply`";
        check(
            &[finding(Standing::Elsewhere, true)],
            Health::Bad,
            "lead nowhere that ramgate listens (0.0.0.0:5054)",
            apply,
        );
        check(
            &[finding(Standing::Absent, true)],
            Health::Bad,
            "goes past the network gate",
            apply,
        );
        check(
            &[finding(Standing::Unknown("no `nft`".to_owned()), true)],
            Health::Warning,
            "is not known: no `nft`",
            "as root, with `nft` installed",
        );
    }
}
