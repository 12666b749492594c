//! Hosts that the daemon may reach besides registries: where allowed registries keep their tokens and blobs, and
//! `egress.hosts`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decision::RuleName;
use crate::host::{DEFAULT_PORT, Host, InvalidHost, split_port};
use crate::known_hosts::HostPattern;

/// Hosts and ports, each with the rule that opens it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    exact: HashMap<Host, Vec<(u16, Arc<str>)>>,
    below: HashMap<String, Vec<(u16, Arc<str>)>>,
    /// Of well-known registries, at port 443, by their first label: each registry of a cloud may have one of its own.
    known: HashMap<String, Known>,
    /// Those whose first label has a `*`: a few dozen at most, so they are tried one by one.
    known_by_pattern: Known,
}

/// Patterns, each with the rule that opens it.
type Known = Vec<(HostPattern, Arc<str>)>;

// === impl Hosts ===

impl Hosts {
    /// Opens `host`, `host:port` or `*.domain[:port]`; without a port, `ports`.
    pub(crate) fn insert(
        &mut self,
        pattern: &str,
        ports: &[u16],
        rule: &Arc<str>,
    ) -> Result<(), InvalidHost> {
        let (name, port) = split_port(pattern)?;
        let entries = match name.strip_prefix("*.") {
            Some(domain) => self
                .below
                .entry(domain.parse::<Host>()?.as_str().to_owned())
                .or_default(),
            None => self.exact.entry(name.parse()?).or_default(),
        };
        let given = port.map(|port| vec![port]);
        let ports = given.as_deref().unwrap_or(ports);
        entries.extend(ports.iter().map(|port| (*port, Arc::clone(rule))));
        Ok(())
    }

    /// Opens a host that an allowed registry is known to need.
    pub(crate) fn insert_known(&mut self, pattern: HostPattern, rule: &Arc<str>) {
        let alike = match pattern.first_label() {
            Some(label) => self.known.entry(label.to_owned()).or_default(),
            None => &mut self.known_by_pattern,
        };
        if !alike.iter().any(|(known, _)| *known == pattern) {
            alike.push((pattern, Arc::clone(rule)));
        }
    }

    /// The rule that opens `host` at `port`.
    pub(crate) fn rule(&self, host: &Host, port: u16) -> Option<RuleName> {
        let below = host
            .parents()
            .filter_map(|domain| self.below.get(domain))
            .flatten();
        let mut entries = self.exact.get(host).into_iter().flatten().chain(below);
        let given = entries
            .find(|(open, _)| *open == port)
            .map(|(_, rule)| rule);
        let known = || {
            let label = host.as_str().split('.').next();
            let alike = label.and_then(|label| self.known.get(label));
            alike
                .into_iter()
                .chain([&self.known_by_pattern])
                .flatten()
                .find(|(pattern, _)| port == DEFAULT_PORT && pattern.covers(host))
                .map(|(_, rule)| rule)
        };
        given
            .or_else(known)
            .map(|rule| RuleName::Written(Arc::clone(rule)))
    }
}

/// Ports of `egress.hosts` that name none: HTTP and HTTPS.
pub(crate) const WEB_PORTS: [u16; 2] = [80, DEFAULT_PORT];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Registry;
    use crate::known_hosts;

    #[test]
    fn what_well_known_registries_need_is_found_by_its_first_label_or_without_one() {
        let mut hosts = Hosts::default();
        let rule = |name: &str| Arc::from(format!("registries[{name}]"));
        for name in [
            "one.azurecr.io",
            "two.azurecr.io",
            "quay.io",
            "mcr.microsoft.com",
            "quay.io",
        ] {
            let registry: Registry = name.parse().unwrap();
            for pattern in known_hosts::hosts_of(&registry) {
                hosts.insert_known(pattern, &rule(name));
            }
        }
        let found = |host: &str, port| {
            let rule = hosts.rule(&host.parse().unwrap(), port);
            rule.map(|rule| rule.as_str().to_owned())
        };
        for (host, name) in [
            ("one.westeurope.data.azurecr.io", "one.azurecr.io"),
            ("two.westeurope.data.azurecr.io", "two.azurecr.io"),
            ("cdn02.quay.io", "quay.io"),
            ("westeurope.data.mcr.microsoft.com", "mcr.microsoft.com"),
        ] {
            assert_eq!(found(host, 443).as_deref(), Some(&*rule(name)), "{host}");
            assert_eq!(found(host, 444), None, "{host}");
        }
        assert_eq!(found("three.westeurope.data.azurecr.io", 443), None);
        assert_eq!(found("one.azurecr.io.evil.example", 443), None);
    }
}
