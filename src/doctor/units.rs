//! Whether systemd holds the plugin's socket, so that a restart of ramgate loses no request.

use std::process::{Command, Stdio};

use super::{Facts, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    if facts.settings.plugin_socket.is_none() {
        return Vec::new();
    }
    let state = Command::new("systemctl")
        .args(["is-active", "ramgate.socket"])
        .stdin(Stdio::null())
        .output();
    vec![finding(state.ok().map(|output| output.status.success()))]
}

/// `held`: whether systemd holds it; `None` where there is no systemd.
fn finding(held: Option<bool>) -> Finding {
    match held {
        Some(true) => Finding::ok(
            CHECK,
            "systemd holds the plugin's socket while ramgate restarts",
        ),
        Some(false) => Finding::warning(
            CHECK,
            "systemd does not hold the plugin's socket: while ramgate restarts, requests to the engine fail",
            "systemctl enable --now ramgate.socket",
        ),
        None => Finding::warning(
            CHECK,
            "there is no systemd: while ramgate restarts, requests to the engine fail",
            "restart it when nothing depends on the engine's answers",
        ),
    }
}

const CHECK: &str = "socket activation";

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::tests::check;
    use super::*;

    #[test]
    fn a_socket_that_systemd_does_not_hold_is_told_with_what_makes_it() {
        assert_eq!(finding(Some(true)).health, Health::Ok);
        check(
            &[finding(Some(false))],
            Health::Warning,
            "systemd does not hold the plugin's socket",
            "systemctl enable --now ramgate.socket",
        );
        check(
            &[finding(None)],
            Health::Warning,
            "there is no systemd",
            "restart it when nothing depends",
        );
    }
}
