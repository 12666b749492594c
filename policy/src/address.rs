//! Addresses that a name must not lead to. Pure.
//!
//! Whoever controls a name's DNS controls where it points. A permit for a name is no permit for the services of this
//! machine and its link: those are reached only by an address that the policy or the settings spell out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// A place on the Internet.
    Global,
    /// One link: 169.254.0.0/16, where clouds keep their metadata services, and fe80::/10.
    LinkLocal,
    /// This machine.
    Loopback,
    /// A cloud's metadata or host service outside the link-local range.
    Metadata,
    /// Many machines: multicast and broadcast.
    Multicast,
    /// A site's own network: RFC 1918, RFC 6598 and unique local addresses.
    Private,
    /// Set aside; no machine has it.
    Reserved,
    /// No address: connecting to it reaches this machine.
    Unspecified,
}

/// How far a permit reaches. DNS is not ours: what a name leads to must not be more than its permit meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The policy has no list that names the host: public addresses.
    Public,
    /// The policy lists the host's name: private addresses too, since a registry of one's own is there.
    Listed,
    /// The settings name the host as one of an upstream: private addresses and this machine.
    Configured,
    /// The policy or the settings have this very address.
    SpelledOut,
}

// === impl AddressKind ===

impl AddressKind {
    /// The kind of `address`. An IPv4 address inside an IPv6 one is seen through.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if METADATA.contains(&address) {
            return Self::Metadata;
        }
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => embedded(address)
                .map_or_else(|| Self::of_v6(address), |inner| Self::of(inner.into())),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            // RFC 791: "this network". Linux takes 0.0.0.0 for itself.
            [0, ..] => Self::Unspecified,
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [255, 255, 255, 255] | [224..=239, ..] => Self::Multicast,
            // RFC 1112: class E.
            [240..=255, ..] => Self::Reserved,
            // RFC 6598: shared by a provider and its customers.
            [100, 64..=127, ..] => Self::Private,
            _ if address.is_private() => Self::Private,
            _ => Self::Global,
        }
    }

    const fn of_v6(address: Ipv6Addr) -> Self {
        match address.segments() {
            // RFC 8215: a site's own translators; and RFC 3879: the site-local addresses of old.
            [0x64, 0xff9b, 1, ..] | [0xfec0..=0xfeff, ..] => return Self::Private,
            // RFC 4380: Teredo, which carries another address inside and which nobody routes any more.
            [0x2001, 0, ..] => return Self::Reserved,
            _ => {}
        }
        if address.is_unspecified() {
            Self::Unspecified
        } else if address.is_loopback() {
            Self::Loopback
        } else if address.is_multicast() {
            Self::Multicast
        } else if address.is_unicast_link_local() {
            Self::LinkLocal
        } else if address.is_unique_local() {
            Self::Private
        } else {
            Self::Global
        }
    }

    /// Whether a permit of such a reach leads there.
    #[must_use]
    pub const fn is_within(self, reach: Reach) -> bool {
        match (self, reach) {
            (Self::Global, _)
            | (Self::Private, Reach::Listed | Reach::Configured)
            | (Self::Loopback, Reach::Configured)
            | (_, Reach::SpelledOut) => true,
            (
                Self::Private
                | Self::LinkLocal
                | Self::Loopback
                | Self::Metadata
                | Self::Multicast
                | Self::Reserved
                | Self::Unspecified,
                Reach::Public | Reach::Listed | Reach::Configured,
            ) => false,
        }
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Global => "a global address",
            Self::LinkLocal => "a link-local address",
            Self::Loopback => "a loopback address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Private => "a private address",
            Self::Reserved => "a reserved address",
            Self::Unspecified => "an unspecified address",
        })
    }
}

/// The IPv4 address to which packets for `address` go in the end.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let inner = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // RFC 4291: mapped; and compatible, but for `::` and `::1`, which are IPv6's own.
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(inner(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(inner(high, low)),
        // RFC 6052: translated by NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(inner(high, low)),
        // RFC 3056: 6to4.
        [0x2002, high, low, ..] => Some(inner(high, low)),
        _ => None,
    }
}

/// Services of clouds that hand out credentials or run commands, at addresses that are not link-local.
const METADATA: [IpAddr; 4] = [
    // AWS, instance metadata over IPv6.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // Alibaba Cloud.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure's host agent.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle Cloud's older metadata address.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: AddressKind) {
        assert_eq!(
            AddressKind::of(address.parse().unwrap()),
            expected,
            "{address}"
        );
    }

    #[test]
    fn this_machine_and_its_link_are_told_from_the_rest() {
        check("140.82.121.33", AddressKind::Global);
        check("2606:50c0:8000::154", AddressKind::Global);
        check("127.0.0.1", AddressKind::Loopback);
        check("127.9.9.9", AddressKind::Loopback);
        check("::1", AddressKind::Loopback);
        check("0.0.0.0", AddressKind::Unspecified);
        check("0.1.2.3", AddressKind::Unspecified);
        check("::", AddressKind::Unspecified);
        check("169.254.169.254", AddressKind::LinkLocal);
        check("fe80::1", AddressKind::LinkLocal);
        check("febf::1", AddressKind::LinkLocal);
        check("224.0.0.1", AddressKind::Multicast);
        check("255.255.255.255", AddressKind::Multicast);
        check("ff02::1", AddressKind::Multicast);
        check("250.0.0.1", AddressKind::Reserved);
        check("10.1.2.3", AddressKind::Private);
        check("172.31.0.1", AddressKind::Private);
        check("172.32.0.1", AddressKind::Global);
        check("192.168.0.1", AddressKind::Private);
        check("100.64.0.1", AddressKind::Private);
        check("100.128.0.1", AddressKind::Global);
        check("fd12:3456::1", AddressKind::Private);
        check("fec0::1", AddressKind::Private);
        check("64:ff9b:1::7f00:1", AddressKind::Private);
        check("2001:0:4136:e378::1", AddressKind::Reserved);
    }

    #[test]
    fn metadata_services_are_known_wherever_they_are() {
        check("fd00:ec2::254", AddressKind::Metadata);
        check("100.100.100.200", AddressKind::Metadata);
        check("168.63.129.16", AddressKind::Metadata);
        check("192.0.0.192", AddressKind::Metadata);
        check("64:ff9b::6464:64c8", AddressKind::Metadata);
    }

    #[test]
    fn an_ipv4_address_is_seen_through_ipv6() {
        check("::ffff:127.0.0.1", AddressKind::Loopback);
        check("::ffff:169.254.169.254", AddressKind::LinkLocal);
        check("::127.0.0.1", AddressKind::Loopback);
        check("64:ff9b::a9fe:a9fe", AddressKind::LinkLocal);
        check("2002:7f00:1::", AddressKind::Loopback);
        check("::ffff:10.0.0.1", AddressKind::Private);
        check("::ffff:140.82.121.33", AddressKind::Global);
    }

    #[test]
    fn names_reach_global_and_private_addresses_only() {
        assert!(AddressKind::Global.is_within(Reach::Public));
        assert!(AddressKind::Private.is_within(Reach::Listed));
        assert!(!AddressKind::Private.is_within(Reach::Public));
        for kind in [
            AddressKind::LinkLocal,
            AddressKind::Loopback,
            AddressKind::Metadata,
            AddressKind::Multicast,
            AddressKind::Reserved,
            AddressKind::Unspecified,
        ] {
            assert!(!kind.is_within(Reach::Public), "{kind}");
            assert!(!kind.is_within(Reach::Listed), "{kind}");
            assert_eq!(
                kind.is_within(Reach::Configured),
                kind == AddressKind::Loopback,
                "{kind}"
            );
            assert!(kind.is_within(Reach::SpelledOut), "{kind}");
        }
    }
}
