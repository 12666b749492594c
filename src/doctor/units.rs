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
    let finding = match state {
        Ok(output) if output.status.success() => Finding::ok(
            CHECK,
            "systemd holds the plugin's socket while ramgate restarts",
        ),
        Ok(_) => Finding::warning(
            CHECK,
            "systemd does not hold the plugin's socket: while ramgate restarts, requests to the engine fail",
            "systemctl enable --now ramgate.socket",
        ),
        Err(_) => Finding::warning(
            CHECK,
            "there is no systemd: while ramgate restarts, requests to the engine fail",
            "restart it when nothing depends on the engine's answers",
        ),
    };
    vec![finding]
}

const CHECK: &str = "socket activation";
