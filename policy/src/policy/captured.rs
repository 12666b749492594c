//! Traffic that was not sent to the network gate: that of containers, which the host's firewall hands to it.
//!
//! It is judged as the daemon's, for registries and whatever serves their content. What is for neither, a daemon has no
//! business with, but containers are there for: `egress.containers` says what becomes of it.

use std::collections::BTreeSet;

use super::{Containers, Policy, Steering};
use crate::decision::{Grant, RuleName, TunnelDecision, TunnelPermit};
use crate::denial::Reason;
use crate::host::{DEFAULT_PORT, Host, Registry};
use crate::known_hosts;
use crate::registries::Registries;

// === impl Policy ===

impl Policy {
    /// Decides whether a connection that a container opened may go on to `host` at `port`.
    ///
    /// An address passes only if the policy names it: which registry is behind it, nobody can tell.
    pub fn evaluate_captured(&self, host: &Host, port: u16, steering: &Steering) -> TunnelDecision {
        let denial = match self.evaluate_tunnel(host, port, steering) {
            TunnelDecision::Allow(permit) => return self.unless_nobodys(permit),
            TunnelDecision::Deny(denial) => denial,
        };
        let passes = self.containers == Containers::Pass
            && matches!(denial.reason(), Reason::HostNotAllowed(..))
            && !host.is_address()
            && !self.serves_registry(host, port);
        if passes {
            let grant = Grant::new(RuleName::Fixed(CONTAINERS));
            TunnelDecision::Allow(TunnelPermit::new(host.clone(), port, grant, false))
        } else {
            TunnelDecision::Deny(denial)
        }
    }

    /// Without a list every name is open, but what has no name could be the one thing that is not: Docker Hub. And who wants
    /// images has an identity where the policy requires one: the daemon's callers are asked at the engine gate, these nowhere else.
    fn unless_nobodys(&self, permit: TunnelPermit) -> TunnelDecision {
        let (host, port) = (permit.host(), permit.port());
        let reason = if host.is_address() && !permit.is_listed() {
            Reason::HostNotAllowed(Registry::new(host.clone(), port), port)
        } else if self.require_identity && self.serves_registry(host, port) {
            Reason::IdentityRequired
        } else {
            return TunnelDecision::Allow(permit);
        };
        let denial = self.deny(reason);
        if self.is_audit() {
            return TunnelDecision::Allow(permit.suppressing(denial));
        }
        TunnelDecision::Deny(denial)
    }

    /// Names that lead to registries to which no tunnel is open, or none to containers, as far as they can be listed: whoever reaches the same
    /// addresses by another name is on a way round.
    #[must_use]
    pub fn closed_registries(&self, steering: &Steering) -> Vec<Host> {
        let known = known_hosts::names().map(|host| (host, DEFAULT_PORT));
        let exact = self.registries.iter().flat_map(Registries::exact);
        let listed = exact.map(|registry| (registry.host().clone(), registry.port()));
        let closed: BTreeSet<Host> = known
            .chain(listed)
            .filter(|(host, port)| !host.is_address() && self.is_closed(host, *port, steering))
            .map(|(host, _)| host)
            .collect();
        closed.into_iter().collect()
    }

    fn is_closed(&self, host: &Host, port: u16, steering: &Steering) -> bool {
        match self.evaluate_tunnel(host, port, steering) {
            TunnelDecision::Allow(permit) => {
                let nobodys = self.require_identity && self.serves_registry(host, port);
                permit.is_inspected() || nobodys
            }
            TunnelDecision::Deny(_) => true,
        }
    }

    /// Whether `host` is a registry, or serves the content of one.
    fn serves_registry(&self, host: &Host, port: u16) -> bool {
        self.is_registry(host, port) || known_hosts::serves_registry(host)
    }
}

/// The rule's name.
const CONTAINERS: &str = "egress.containers";

#[cfg(test)]
mod tests {
    use super::*;

    const STEERING: Steering = Steering {
        docker_hub_by_mirror: true,
        inspect: false,
    };

    fn policy(containers: &str) -> Policy {
        let text = format!(
            r#"{{ "version": 1,
                "registries": [{{ "host": "docker.io" }}, {{ "host": "ghcr.io" }}, {{ "host": "reg.example:5000", "via": "mirror" }}],
                "egress": {{ "hosts": ["files.example", "203.0.113.7"], "containers": "{containers}" }} }}"#
        );
        Policy::parse(&text).unwrap()
    }

    #[track_caller]
    fn check(containers: &str, host: &str, expected: &str) {
        let decided = policy(containers).evaluate_captured(&host.parse().unwrap(), 443, &STEERING);
        let got = match decided {
            TunnelDecision::Allow(permit) => {
                format!("{} listed={}", permit.grant().rule(), permit.is_listed())
            }
            TunnelDecision::Deny(denial) => denial.reason().code().to_owned(),
        };
        assert_eq!(got, expected, "{host}, {containers}");
    }

    #[test]
    fn what_is_for_no_registry_passes_or_not_as_the_policy_says() {
        check("pass", "any.example", "egress.containers listed=false");
        check("deny", "any.example", "host-not-allowed");
        for containers in ["pass", "deny"] {
            check(containers, "files.example", "egress.hosts listed=true");
        }
    }

    #[test]
    fn registries_and_what_serves_their_content_are_judged_as_ever() {
        for containers in ["pass", "deny"] {
            check(containers, "ghcr.io", "registries listed=true");
            check(containers, "quay.io", "host-not-allowed");
            check(containers, "cdn01.quay.io", "host-not-allowed");
            check(
                containers,
                "123.dkr.ecr.eu-west-1.amazonaws.com",
                "host-not-allowed",
            );
            check(containers, "eu.data.mcr.microsoft.com", "host-not-allowed");
            check(
                containers,
                "registry-1.docker.io",
                "docker-hub-only-by-mirror",
            );
            check(
                containers,
                "production.cloudflare.docker.com",
                "docker-hub-only-by-mirror",
            );
        }
        // It gives tokens to one, and is a site of its own.
        check("pass", "gitlab.com", "egress.containers listed=false");
    }

    #[test]
    fn an_address_passes_only_if_it_is_named() {
        check("pass", "203.0.113.8", "host-not-allowed");
        check("pass", "203.0.113.7", "egress.hosts listed=true");
    }

    #[test]
    fn where_an_identity_is_required_nobody_gets_images_without_one() {
        let text = r#"{ "version": 1, "registries": [{ "host": "ghcr.io" }],
            "egress": { "hosts": ["files.example"], "containers": "pass" }, "subjects": { "require-identity": true } }"#;
        let policy = Policy::parse(text).unwrap();
        let decided = |host: &str| {
            let decided = policy.evaluate_captured(&host.parse().unwrap(), 443, &STEERING);
            match decided {
                TunnelDecision::Allow(_) => "open",
                TunnelDecision::Deny(denial) => denial.reason().code(),
            }
        };
        assert_eq!(decided("ghcr.io"), "identity-required");
        assert_eq!(decided("files.example"), "open");
        assert_eq!(decided("any.example"), "open");
        // Nor under another name that leads to the same addresses.
        let closed = policy.closed_registries(&STEERING);
        assert!(closed.contains(&"ghcr.io".parse().unwrap()));
    }

    #[test]
    fn without_a_list_only_what_must_be_carried_otherwise_is_refused() {
        let policy = Policy::parse(r#"{ "version": 1 }"#).unwrap();
        let allowed = |host: &str| {
            let decided = policy.evaluate_captured(&host.parse().unwrap(), 443, &STEERING);
            matches!(decided, TunnelDecision::Allow(_))
        };
        assert!(allowed("any.example") && allowed("quay.io"));
        assert!(!allowed("registry-1.docker.io") && !allowed("203.0.113.8"));
    }

    #[test]
    fn closed_registries_are_those_without_a_tunnel() {
        let closed = policy("pass").closed_registries(&STEERING);
        let has = |host: &str| closed.contains(&host.parse().unwrap());
        assert!(has("quay.io") && has("registry-1.docker.io") && has("reg.example"));
        assert!(!has("ghcr.io") && !has("any.example"));
    }
}
