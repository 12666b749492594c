//! Where registries are to which no tunnel is open.
//!
//! A container may reach any name that is no registry's, and anybody's DNS may have a name that leads to a registry. So its
//! addresses are learned, and closed under every name that is not listed. It is as good as what name servers tell: a registry
//! that answers each with other addresses is not known in all of them.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ramgate_policy::{AddressKind, Host};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::resolver::Resolver;

/// Addresses, each with the registry that it was seen for.
#[derive(Debug, Default)]
pub(crate) struct ClosedAddresses(Mutex<HashMap<IpAddr, Learned>>);

#[derive(Debug)]
struct Learned {
    registry: Host,
    seen: Instant,
}

// === impl ClosedAddresses ===

impl ClosedAddresses {
    /// Looks up `hosts`, and forgets what was learned of others.
    pub(crate) async fn learn(&self, hosts: &[Host], resolver: &Resolver, limit: Duration) {
        let mut lookups = JoinSet::new();
        for host in hosts.iter().cloned() {
            let resolver = resolver.clone();
            lookups.spawn(async move {
                let found = timeout(limit, resolver.addresses(&host)).await;
                // A name that has no address now has no content now.
                (host, found.ok().and_then(Result::ok).unwrap_or_default())
            });
        }
        let mut found = Vec::new();
        while let Some(looked_up) = lookups.join_next().await {
            found.extend(looked_up.ok());
        }
        self.put(hosts, found);
    }

    fn put(&self, hosts: &[Host], found: Vec<(Host, Vec<IpAddr>)>) {
        let closed: HashSet<&Host> = hosts.iter().collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, learned| {
            closed.contains(&learned.registry) && learned.seen.elapsed() < KEEP
        });
        for (registry, addresses) in found {
            for address in addresses.into_iter().map(|address| address.to_canonical()) {
                // What a name server says to close a name is no place of the registry's.
                let kind = AddressKind::of(address);
                if matches!(kind, AddressKind::Global | AddressKind::Private) {
                    let registry = registry.clone();
                    let seen = Instant::now();
                    known.insert(address, Learned { registry, seen });
                }
            }
        }
    }

    /// The registry that is at one of `addresses`, if one is.
    pub(crate) fn registry_at(&self, addresses: &[SocketAddr]) -> Option<Host> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut addresses = addresses.iter();
        addresses.find_map(|address| {
            let learned = known.get(&address.ip().to_canonical())?;
            Some(learned.registry.clone())
        })
    }
}

/// Large registries have more addresses than one answer holds, and come back to them within the day.
const KEEP: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(closed: &ClosedAddresses, address: &str) -> Option<String> {
        let address = SocketAddr::new(address.parse().unwrap(), 443);
        closed
            .registry_at(&[address])
            .map(|registry| registry.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_closed_for_as_long_as_its_registry_is() {
        let closed = ClosedAddresses::default();
        let quay: Host = "quay.io".parse().unwrap();
        let hosts = [quay.clone()];
        let first = vec![
            "203.0.113.1".parse().unwrap(),
            "2001:db8::1".parse().unwrap(),
        ];
        closed.put(&hosts, vec![(quay.clone(), first)]);
        // The next answer has another address, and the first stays closed.
        closed.put(
            &hosts,
            vec![(quay.clone(), vec!["203.0.113.2".parse().unwrap()])],
        );
        for address in [
            "203.0.113.1",
            "203.0.113.2",
            "2001:db8::1",
            "::ffff:203.0.113.1",
        ] {
            assert_eq!(
                at(&closed, address).as_deref(),
                Some("quay.io"),
                "{address}"
            );
        }
        assert_eq!(at(&closed, "203.0.113.3"), None);
        tokio::time::advance(KEEP).await;
        closed.put(&hosts, Vec::new());
        assert_eq!(at(&closed, "203.0.113.1"), None);
        closed.put(&hosts, vec![(quay, vec!["203.0.113.1".parse().unwrap()])]);
        closed.put(&[], Vec::new());
        assert_eq!(at(&closed, "203.0.113.1"), None);
    }

    #[test]
    fn a_name_that_leads_nowhere_closes_nothing() {
        let closed = ClosedAddresses::default();
        let quay: Host = "quay.io".parse().unwrap();
        let nowhere = vec!["0.0.0.0".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        closed.put(std::slice::from_ref(&quay), vec![(quay.clone(), nowhere)]);
        assert_eq!(at(&closed, "127.0.0.1"), None);
    }
}
