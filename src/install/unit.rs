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
    pub(crate) fn wanted_by(&self) -> impl Iterator<Item = PathBuf> {
        let wanted = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("WantedBy="));
        wanted
            .flat_map(str::split_whitespace)
            .map(|target| Path::new(DIRECTORY).join(format!("{target}.wants")))
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
const PACKAGED_BINARY: &str = "/usr/local/bin/ramgate";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_say_who_wants_them() {
        let [socket, service] = &UNITS;
        let wanted: Vec<PathBuf> = socket.wanted_by().collect();
        assert_eq!(
            wanted,
            [
                Path::new("/etc/systemd/system/sockets.target.wants"),
                Path::new("/etc/systemd/system/docker.service.wants"),
            ]
        );
        assert_eq!(service.wanted_by().count(), 1);
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
