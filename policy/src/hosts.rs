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
    /// Of well-known registries, at port 443. A few dozen at most, so they are tried one by one.
    known: Vec<(HostPattern, Arc<str>)>,
}

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
        if !self.known.iter().any(|(known, _)| *known == pattern) {
            self.known.push((pattern, Arc::clone(rule)));
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
            self.known
                .iter()
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
