//! What is reached without the upstream proxy: `NO_PROXY` as Go reads it. Pure.
//!
//! The rules are those of Go's `golang.org/x/net/http/httpproxy`, because the list is most often one that dockerd had before.

use std::net::IpAddr;

use ramgate_policy::{Host, split_port};
use thiserror::Error;

/// Hosts that are reached directly.
#[derive(Clone, Debug, Default)]
pub struct NoProxy {
    everything: bool,
    networks: Vec<Network>,
    domains: Vec<Domain>,
}

/// Addresses with the same beginning, at one port or any.
#[derive(Clone, Debug)]
struct Network {
    address: IpAddr,
    prefix_bits: u8,
    port: Option<u16>,
}

/// A name and what lies below, or only the latter.
#[derive(Clone, Debug)]
struct Domain {
    name: String,
    itself: bool,
    port: Option<u16>,
}

/// An entry that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no host, domain, address or network; write as in `acme.example`, `.acme.example`, `10.0.0.0/8`"
)]
pub struct InvalidNoProxy(String);

// === impl NoProxy ===

impl NoProxy {
    /// Reads entries, each as between the commas of `NO_PROXY`.
    ///
    /// # Errors
    /// The first that cannot be read; Go would ignore it.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidNoProxy> {
        let mut list = Self::default();
        for entry in entries {
            let entry = entry.trim();
            list.add(entry)
                .ok_or_else(|| InvalidNoProxy(entry.to_owned()))?;
        }
        Ok(list)
    }

    fn add(&mut self, entry: &str) -> Option<()> {
        if entry == "*" {
            self.everything = true;
            return Some(());
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let prefix_bits = bits.parse().ok()?;
            let network = Network {
                address,
                prefix_bits,
                port: None,
            };
            self.networks.push(network.checked()?);
            return Some(());
        }
        if let Ok(address) = entry.parse() {
            self.networks.push(Network::of_address(address, None));
            return Some(());
        }
        let (name, port) = split_port(entry).ok()?;
        let bare = name
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(name).parse() {
            self.networks.push(Network::of_address(address, port));
            return Some(());
        }
        let below = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
        let host: Host = below.unwrap_or(name).parse().ok()?;
        self.domains.push(Domain {
            name: host.as_str().to_owned(),
            itself: below.is_none(),
            port,
        });
        Some(())
    }

    /// Whether `host` at `port` is reached directly: what is on the list, and this machine.
    #[must_use]
    pub fn covers(&self, host: &Host, port: u16) -> bool {
        if self.everything || host.as_str() == "localhost" {
            return true;
        }
        match host.as_str().parse::<IpAddr>() {
            Ok(address) => {
                address.is_loopback()
                    || self
                        .networks
                        .iter()
                        .any(|network| network.covers(address, port))
            }
            Err(_) => self.domains.iter().any(|domain| domain.covers(host, port)),
        }
    }
}

// === impl Network ===

impl Network {
    const fn of_address(address: IpAddr, port: Option<u16>) -> Self {
        let prefix_bits = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Self {
            address,
            prefix_bits,
            port,
        }
    }

    fn checked(self) -> Option<Self> {
        let longest = Self::of_address(self.address, None).prefix_bits;
        (self.prefix_bits <= longest).then_some(self)
    }

    fn covers(&self, address: IpAddr, port: u16) -> bool {
        let differing = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differing >= u32::from(self.prefix_bits) && self.port.is_none_or(|own| own == port)
    }
}

// === impl Domain ===

impl Domain {
    fn covers(&self, host: &Host, port: u16) -> bool {
        let is_it = self.itself && host.as_str() == self.name;
        let is_below = || host.parents().any(|parent| parent == self.name);
        (is_it || is_below()) && self.port.is_none_or(|own| own == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, host: &str, port: u16, expected: bool) {
        let list = NoProxy::parse(list.split(',')).unwrap();
        assert_eq!(
            list.covers(&host.parse().unwrap(), port),
            expected,
            "{host}:{port}"
        );
    }

    #[test]
    fn a_domain_covers_itself_and_what_lies_below() {
        check("acme.example", "acme.example", 443, true);
        check("acme.example", "a.acme.example", 443, true);
        check("acme.example", "evil-acme.example", 443, false);
        check(".acme.example", "acme.example", 443, false);
        check(".acme.example", "a.acme.example", 443, true);
        check("*.acme.example", "a.acme.example", 443, true);
        check("ghcr.io, Acme.Example:5000", "acme.example", 5000, true);
        check("acme.example:5000", "acme.example", 443, false);
    }

    #[test]
    fn networks_cover_addresses_and_not_names() {
        check("10.0.0.0/8", "10.9.9.9", 443, true);
        check("10.0.0.0/8", "11.0.0.1", 443, false);
        check("0.0.0.0/0", "11.0.0.1", 443, true);
        check("fd00::/8", "[fd12::1]", 443, true);
        check("10.1.2.3", "10.1.2.3", 5000, true);
        check("10.1.2.3:443", "10.1.2.3", 5000, false);
        check("[fd12::1]:443", "[fd12::1]", 443, true);
        check("10.0.0.0/8", "ten.example", 443, false);
    }

    #[test]
    fn this_machine_and_everything_under_a_star_are_direct() {
        check("ghcr.io", "localhost", 80, true);
        check("ghcr.io", "127.9.9.9", 80, true);
        check("ghcr.io", "[::1]", 80, true);
        check("*", "quay.io", 443, true);
    }

    #[test]
    fn what_go_would_ignore_is_refused() {
        for entry in [
            "10.0.0.0/33",
            "",
            "a b",
            "fd00::/129",
            "10.0.0/8",
            "acme..example",
            "a:b",
        ] {
            assert!(NoProxy::parse([entry]).is_err(), "{entry}");
        }
    }
}
