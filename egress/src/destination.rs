//! The addresses that a permit leads to.
//!
//! The name is resolved here and once, and only what was looked at is dialled: a name that answers with another address
//! the second time gains nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ramgate_policy::{AddressKind, Host, Reach, TunnelPermit};
use thiserror::Error;
use tokio::time::timeout;

use crate::upstream::UpstreamError;

/// Proof that a connection was permitted and that its addresses may be dialled. Only [`Destination::resolve`] makes one.
#[derive(Debug)]
pub(crate) struct Destination {
    /// INVARIANT(destination): never empty.
    addresses: Vec<SocketAddr>,
}

/// Why a permit leads nowhere.
#[derive(Debug, Error)]
pub(crate) enum Unresolved {
    /// Resolving failed.
    #[error(transparent)]
    Failed(#[from] UpstreamError),
    /// Every address is one that a name must not lead to.
    #[error(transparent)]
    Refused(#[from] RefusedAddress),
}

/// An address that a name must not lead to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{host}` leads to {address}, {kind}")]
pub(crate) struct RefusedAddress {
    host: Host,
    address: IpAddr,
    kind: AddressKind,
}

// === impl Destination ===

impl Destination {
    /// Resolves the host that `permit` allows.
    pub(crate) async fn resolve(
        permit: &TunnelPermit,
        limit: Duration,
    ) -> Result<Self, Unresolved> {
        let lookup = tokio::net::lookup_host((permit.host().as_str(), permit.port()));
        let found = timeout(limit, lookup)
            .await
            .map_err(|_| UpstreamError::ResolveTimeout)?
            .map_err(UpstreamError::NotResolved)?;
        Self::of_addresses(permit.host(), reach(permit), found)
    }

    fn of_addresses(
        host: &Host,
        reach: Reach,
        found: impl Iterator<Item = SocketAddr>,
    ) -> Result<Self, Unresolved> {
        let mut refused = None;
        let mut addresses = Vec::new();
        for address in found {
            let kind = AddressKind::of(address.ip());
            if kind.is_within(reach) {
                addresses.push(address);
            } else {
                refused = Some(RefusedAddress {
                    host: host.clone(),
                    address: address.ip(),
                    kind,
                });
            }
        }
        match (addresses.is_empty(), refused) {
            (false, _) => Ok(Self {
                addresses: interleave(&addresses),
            }),
            (true, Some(refused)) => Err(refused.into()),
            (true, None) => Err(UpstreamError::NoAddress.into()),
        }
    }

    /// What may be dialled, in the order in which to try.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

fn reach(permit: &TunnelPermit) -> Reach {
    let is_address = permit.host().as_str().parse::<IpAddr>().is_ok();
    match (permit.is_listed(), is_address) {
        (true, true) => Reach::SpelledOut,
        (true, false) => Reach::Listed,
        (false, _) => Reach::Public,
    }
}

/// Address families in turn, beginning with the resolver's first choice, so that a dead one costs one attempt and not all.
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let six_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv6() == six_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::with_capacity(addresses.len());
    while mixed.len() < addresses.len().min(ADDRESSES_MAX) {
        mixed.extend(first.next());
        mixed.extend(second.next());
    }
    mixed
}

/// A name with more addresses gains nothing from them within one connect timeout.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(reach: Reach, found: &[&str]) -> Result<Vec<String>, String> {
        let host = "name.example".parse().unwrap();
        let found = found
            .iter()
            .map(|address| SocketAddr::new(address.parse().unwrap(), 443));
        Destination::of_addresses(&host, reach, found)
            .map(|destination| {
                destination
                    .addresses()
                    .iter()
                    .map(|address| address.ip().to_string())
                    .collect()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_leads_to_this_machine_is_refused() {
        let refused = "`name.example` leads to 127.0.0.1, a loopback address".to_owned();
        assert_eq!(resolved(Reach::Listed, &["127.0.0.1"]), Err(refused));
        assert!(
            resolved(Reach::Listed, &["169.254.169.254"])
                .unwrap_err()
                .contains("link-local")
        );
        assert!(resolved(Reach::Listed, &["::ffff:127.0.0.1"]).is_err());
        assert_eq!(
            resolved(Reach::SpelledOut, &["127.0.0.1"]),
            Ok(vec!["127.0.0.1".to_owned()])
        );
    }

    #[test]
    fn a_private_address_is_reached_only_by_a_name_that_the_policy_lists() {
        assert!(resolved(Reach::Public, &["10.0.0.1"]).is_err());
        assert!(resolved(Reach::Public, &["140.82.121.33"]).is_ok());
        assert!(resolved(Reach::Listed, &["10.0.0.1"]).is_ok());
    }

    #[test]
    fn of_a_mixed_answer_only_the_open_addresses_are_dialled() {
        assert_eq!(
            resolved(Reach::Listed, &["127.0.0.1", "140.82.121.33", "::1"]),
            Ok(vec!["140.82.121.33".to_owned()])
        );
    }

    #[test]
    fn a_name_without_addresses_fails() {
        assert_eq!(
            resolved(Reach::Listed, &[]),
            Err("the name has no address".to_owned())
        );
    }

    #[test]
    fn families_take_turns_and_there_is_an_end() {
        let mixed = resolved(
            Reach::Listed,
            &["2600::1", "2600::2", "140.0.0.1", "140.0.0.2", "140.0.0.3"],
        )
        .unwrap();
        assert_eq!(
            mixed,
            ["2600::1", "140.0.0.1", "2600::2", "140.0.0.2", "140.0.0.3"]
        );
        let many: Vec<String> = (1..40).map(|last| format!("140.0.0.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(resolved(Reach::Listed, &many).unwrap().len(), 8);
    }
}
