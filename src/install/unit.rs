//! The units for systemd, as they are packaged, with the program's real place in them.

use std::path::{Path, PathBuf};

/// A unit that an installation writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    text: &'static str,
}

// === impl Unit ===

impl Unit {
    /// Its text for the program at `binary`.
    pub(crate) fn text(&self, binary: &Path) -> String {
        self.text
            .replace(PACKAGED_BINARY, &binary.display().to_string())
    }

    /// The directories that `systemctl enable` would put a link to it in, as the unit's own `[Install]` says.
    pub(crate) fn wanted_by(&self, units: &Path) -> Vec<PathBuf> {
        let lines = self.text.lines();
        lines
            .filter_map(|line| line.strip_prefix("WantedBy="))
            .flat_map(str::split_whitespace)
            .map(|target| units.join(format!("{target}.wants")))
            .collect()
    }
}

/// In the order of their start.
pub(crate) const UNITS: [Unit; 2] = [
    Unit {
        name: "ramgate.socket",
        text: include_str!("../../packaging/ramgate.socket"),
    },
    Unit {
        name: "ramgate.service",
        text: include_str!("../../packaging/ramgate.service"),
    },
];
/// The same for a user's own systemd.
pub(crate) const USER_UNITS: [Unit; 2] = [
    Unit {
        name: "ramgate.socket",
        text: include_str!("../../packaging/user/ramgate.socket"),
    },
    Unit {
        name: "ramgate.service",
        text: include_str!("../../packaging/user/ramgate.service"),
    },
];
/// The rules that send what containers fetch by themselves to the network gate, at each start of the host.
pub(crate) const RULES: Unit = Unit {
    name: "ramgate-nft.service",
    text: include_str!("../../packaging/ramgate-nft.service"),
};
/// The drop-in that gives the engine its proxy.
pub(crate) const PROXY_DROP_IN: &str =
    include_str!("../../packaging/docker.service.d/ramgate.conf");
/// Where an administrator's units are.
pub(crate) const DIRECTORY: &str = "/etc/systemd/system";
/// Where packages put theirs.
pub(crate) const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
/// Where they put those for users' own.
pub(crate) const PACKAGED_FOR_USERS: [&str; 1] = ["/usr/lib/systemd/user"];
const PACKAGED_BINARY: &str = "/usr/local/bin/ramgate";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_say_who_wants_them() {
        let [socket, service] = &UNITS;
        let wanted = socket.wanted_by(Path::new(DIRECTORY));
        assert_eq!(
            wanted,
            [
                Path::new("/etc/systemd/system/sockets.target.wants"),
                Path::new("/etc/systemd/system/docker.service.wants"),
            ]
        );
        assert_eq!(service.wanted_by(Path::new(DIRECTORY)).len(), 1);
        assert!(
            service
                .text(Path::new("/usr/bin/ramgate"))
                .contains("ExecStart=/usr/bin/ramgate serve")
        );
        let rules = RULES.text(Path::new("/usr/bin/ramgate"));
        assert!(!rules.contains(PACKAGED_BINARY), "{rules}");
        assert!(rules.contains("ExecStop=/usr/bin/ramgate egress nft remove"));
    }
}
