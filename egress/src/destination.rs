//! The addresses that a permit leads to.
//!
//! The name is resolved here and once, and only what was looked at is dialled: a name that answers with another address
//! the second time gains nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ramgate_policy::{AddressKind, Host, Reach, TunnelPermit};
use thiserror::Error;
use tokio::time::timeout;

use crate::resolver::Resolver;
use crate::upstream::UpstreamError;
use crate::upstream_proxy::UpstreamProxy;

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
        resolver: &Resolver,
        limit: Duration,
    ) -> Result<Self, Unresolved> {
        let found = lookup(permit.host(), permit.port(), resolver, limit).await?;
        Self::of_addresses(permit.host(), reach(permit), found.into_iter())
    }

    /// The addresses of `proxy`, which is to lead to what `permit` allows. The proxy resolves names; an address is judged
    /// here.
    pub(crate) async fn of_proxy(
        permit: &TunnelPermit,
        proxy: &UpstreamProxy,
        resolver: &Resolver,
        limit: Duration,
    ) -> Result<Self, Unresolved> {
        if let Ok(address) = permit.host().as_str().parse() {
            let spelled = SocketAddr::new(address, permit.port());
            Self::of_addresses(permit.host(), reach(permit), [spelled].into_iter())?;
        }
        let found = lookup(&proxy.host, proxy.port, resolver, limit).await?;
        // Whoever wrote the settings may have the proxy wherever they like.
        Self::of_addresses(&proxy.host, Reach::SpelledOut, found.into_iter())
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

async fn lookup(
    host: &Host,
    port: u16,
    resolver: &Resolver,
    limit: Duration,
) -> Result<Vec<SocketAddr>, UpstreamError> {
    let found = timeout(limit, resolver.addresses(host))
        .await
        .map_err(|_| UpstreamError::ResolveTimeout)??;
    Ok(found
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect())
}

fn reach(permit: &TunnelPermit) -> Reach {
    match (permit.is_listed(), permit.host().is_address()) {
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
