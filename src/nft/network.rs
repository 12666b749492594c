//! Networks that are left alone.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    length: u8,
}

// === impl Network ===

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (address, length) = match text.split_once('/') {
                Some((address, length)) => (address, Some(length)),
                None => (text, None),
            };
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let length = match length {
                Some(length) => length.parse().ok()?,
                None => most,
            };
            // All of the network would be left alone, which is what removing the rules is for.
            ((1..=most).contains(&length)).then_some(Self { address, length })
        };
        read().ok_or_else(|| format!("`{text}` is no network, as `10.244.0.0/16`"))
    }
}

impl fmt::Display for Network {
    /// As a rule matches it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.address.is_ipv4() { "ip" } else { "ip6" };
        write!(formatter, "{family} daddr {}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_both_families_are_read() {
        let rule = |text: &str| text.parse::<Network>().map(|read| read.to_string());
        assert_eq!(rule("10.244.0.0/16").unwrap(), "ip daddr 10.244.0.0/16");
        assert_eq!(rule("192.0.2.7").unwrap(), "ip daddr 192.0.2.7/32");
        assert_eq!(rule("fd00:1::/64").unwrap(), "ip6 daddr fd00:1::/64");
        for text in [
            "",
            "10.0.0.0/33",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/x",
            "name",
            "10.0.0.0/8 accept",
        ] {
            assert!(rule(text).is_err(), "{text}");
        }
    }
}
