//! `hosts.toml`: whether it can be read, where it leads, and what shadows it.

use std::net::SocketAddr;
use std::path::Path;

use toml::{Table, Value};

use super::{Facts, Finding};
use crate::engine_report::EngineReport;
use crate::serve::HOSTS_DIRECTORY;

/// What lies below the engine's directory of hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// `_default/hosts.toml` leads to the mirror alone.
    default_is_mirror: bool,
    /// There is a `_default/hosts.toml`.
    has_default: bool,
    /// Files that the engine cannot read, and so passes over.
    broken: Vec<String>,
    /// Hosts with a directory of their own, for which `_default` does not count, and which does not lead to the mirror.
    shadowing: Vec<String>,
}

// === impl Hosts ===

impl Hosts {
    pub(super) fn read(mirror: Option<SocketAddr>) -> Self {
        Self::read_below(Path::new(HOSTS_DIRECTORY), mirror)
    }

    fn read_below(directory: &Path, mirror: Option<SocketAddr>) -> Self {
        let mut hosts = Self::default();
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let directories = entries.filter(|entry| entry.path().is_dir());
        for entry in directories {
            let name = entry.file_name().to_string_lossy().into_owned();
            let file = entry.path().join("hosts.toml");
            let table = match std::fs::read_to_string(&file) {
                Ok(text) => text.parse::<Table>().ok(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(Table::new()),
                Err(_) => None,
            };
            match &table {
                None => hosts.broken.push(file.display().to_string()),
                Some(table) if name == "_default" => {
                    hosts.has_default = file.exists();
                    hosts.default_is_mirror = mirror.is_some_and(|mirror| leads_to(table, mirror));
                }
                Some(_) => {}
            }
            let to_mirror = |table: &Table| mirror.is_some_and(|mirror| leads_to(table, mirror));
            if name != "_default" && !table.as_ref().is_some_and(to_mirror) {
                hosts.shadowing.push(name);
            }
        }
        hosts.shadowing.sort();
        hosts
    }

    /// Whether all registries are fetched through the mirror, but for those that are not said to matter.
    pub(super) fn lead_to_mirror(&self, matters: impl Fn(&str) -> bool) -> bool {
        let shadowing = self.shadowing.iter();
        let mut past = shadowing.filter(|host| matters(host));
        self.default_is_mirror && self.broken.is_empty() && past.next().is_none()
    }
}

fn leads_to(table: &Table, mirror: SocketAddr) -> bool {
    let server = table.get("server").and_then(Value::as_str);
    let server = server.map(|server| server.trim_end_matches('/'));
    server == Some(format!("http://{mirror}").as_str()) && !table.contains_key("host")
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let hosts = &facts.hosts;
    let mut findings: Vec<Finding> = hosts
        .broken
        .iter()
        .map(|file| {
            Finding::bad(
                CHECK,
                format!("{file} cannot be read; the engine passes it over and goes to the registry itself"),
                format!("mend or remove {file}"),
            )
        })
        .collect();
    let reads = facts
        .engine
        .as_ref()
        .is_ok_and(EngineReport::reads_hosts_toml);
    if hosts.has_default && !reads {
        findings.push(Finding::warning(
            CHECK,
            "there is a _default/hosts.toml, and this engine does not read it",
            "use `registry-mirrors` and the daemon's proxy; engines since 28.0 read it",
        ));
    }
    if hosts.default_is_mirror && !hosts.shadowing.is_empty() {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "these hosts have a directory of their own, and do not go to the mirror: {}",
                hosts.shadowing.join(", ")
            ),
            format!("if that is not meant, remove it from {HOSTS_DIRECTORY}; the network gate judges these hosts whole"),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            format!("nothing is wrong below {HOSTS_DIRECTORY}"),
        ));
    }
    findings
}

const CHECK: &str = "hosts.toml";

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::tests::{check as told, well};
    use super::*;

    #[test]
    fn a_file_leads_to_the_mirror_or_is_broken_or_shadows() {
        let directory = tempfile::tempdir().unwrap();
        let put = |host: &str, text: &str| {
            let directory = directory.path().join(host);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("hosts.toml"), text).unwrap();
        };
        let mirror = Some(SocketAddr::from(([127, 0, 0, 1], 5050)));
        let read = || Hosts::read_below(directory.path(), mirror);
        assert_eq!(read(), Hosts::default());
        put("_default", "server = \"http://127.0.0.1:5050/\"\n");
        assert!(read().lead_to_mirror(|_| true));
        put("_default", "server = \"https://other.example\"\n");
        assert!(!read().lead_to_mirror(|_| true) && read().has_default);
        put(
            "_default",
            "server = \"http://127.0.0.1:5050\"\n[host.\"http://127.0.0.1:9\"]\n",
        );
        assert!(!read().lead_to_mirror(|_| true));
        put("_default", "server = \"http://127.0.0.1:5050\"\n");
        std::fs::create_dir(directory.path().join("reg.example")).unwrap();
        assert_eq!(read().shadowing, ["reg.example"]);
        assert!(!read().lead_to_mirror(|_| true));
        assert!(read().lead_to_mirror(|host| host != "reg.example"));
        put("reg.example", "server = \"http://127.0.0.1:5050\"\n");
        assert!(read().lead_to_mirror(|_| true));
        put("evil.example", "server = ");
        assert!(!read().lead_to_mirror(|_| true));
        assert!(read().broken[0].ends_with("evil.example/hosts.toml"));
    }

    #[test]
    fn what_shadows_the_mirror_or_cannot_be_read_is_told_by_its_name() {
        let mut well = well();
        assert_eq!(super::check(&well.facts)[0].health, Health::Ok);
        well.facts.hosts.broken = vec!["/etc/docker/certs.d/a/hosts.toml".to_owned()];
        told(
            &super::check(&well.facts),
            Health::Bad,
            "/etc/docker/certs.d/a/hosts.toml cannot be read",
            "mend or remove /etc/docker/certs.d/a/hosts.toml",
        );
        well.facts.hosts = Hosts {
            default_is_mirror: true,
            has_default: true,
            shadowing: vec!["reg.example".to_owned()],
            ..Hosts::default()
        };
        let reads = super::check(&well.facts);
        told(
            &reads,
            Health::Warning,
            "do not go to the mirror: reg.example",
            "remove it from /etc/docker/certs.d",
        );
        well.facts.hosts.shadowing.clear();
        well.facts.engine.as_mut().unwrap().version = "26.1.5".to_owned();
        told(
            &super::check(&well.facts),
            Health::Warning,
            "this engine does not read it",
            "use `registry-mirrors`",
        );
    }
}
