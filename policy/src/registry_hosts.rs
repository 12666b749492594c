//! The hosts that allowed registries need beside their own, by the way that the registry goes.

use crate::decision::RuleName;
use crate::host::Host;
use crate::hosts::Hosts;
use crate::via::Via;

/// Hosts that registries redirect to.
///
/// They are the daemon's to reach only where it reaches the registry itself. The mirror and inspection fetch from there on
/// its behalf, so that the daemon needs no store or CDN that others use as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegistryHosts {
    direct: Hosts,
    /// Of registries without a `via`.
    unsteered: Hosts,
    carried: Hosts,
}

// === impl RegistryHosts ===

impl RegistryHosts {
    /// Those of registries that go `via`.
    pub(crate) fn of(&mut self, via: Option<Via>) -> &mut Hosts {
        match via {
            Some(Via::Direct) => &mut self.direct,
            Some(Via::Inspect | Via::Mirror) => &mut self.carried,
            None => &mut self.unsteered,
        }
    }

    /// The rule that lets the daemon reach `host`. `inspected`: registries without a `via` are inspected.
    pub(crate) fn open(&self, host: &Host, port: u16, inspected: bool) -> Option<RuleName> {
        let unsteered = || {
            (!inspected)
                .then(|| self.unsteered.rule(host, port))
                .flatten()
        };
        self.direct.rule(host, port).or_else(unsteered)
    }

    /// Whether any registry is known to redirect to `host`.
    pub(crate) fn name(&self, host: &Host, port: u16) -> bool {
        let mut all = [&self.direct, &self.unsteered, &self.carried].into_iter();
        all.any(|hosts| hosts.rule(host, port).is_some())
    }
}
