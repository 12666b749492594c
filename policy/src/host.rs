//! Hosts and registries as they are *judged*: lower-case, default port stripped, Docker Hub's many names made one.
//!
//! dockerd keeps the spelling of a host (`Docker.io/x` and `docker.io:443/x` are names of their own to it), but all of
//! them reach the same server. Judging folds them together so that no spelling is a way round.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Docker Hub's canonical name in references.
pub const DOCKER_HUB: &str = "docker.io";

/// Names under which Docker Hub's registry answers; source: moby `daemon/pkg/registry/config.go`, docker/docs `allow-list.md`.
const DOCKER_HUB_ALIASES: [&str; 6] = [
    DOCKER_HUB,
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
    "hub.docker.com",
    "www.docker.io",
];

/// HTTPS's port, which a registry without a port in its name is reached at.
pub const DEFAULT_PORT: u16 = 443;

/// A network host: a DNS name, lower-case and without trailing dot, or an IP address (IPv6 without brackets).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(String);

/// A registry as judged: host, and port where it is not 443. All of Docker Hub's names are `docker.io`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry {
    host: Host,
    port: Option<u16>,
}

/// Why a text is no host, or no `host[:port]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidHost {
    /// There is no host.
    #[error("the host is empty")]
    Empty,
    /// A character or an empty label that no host name has.
    #[error("the host has a character or an empty label that no host name has")]
    Name,
    /// The port is no number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// More than 253 characters (RFC 1035, section 2.3.4).
    #[error("the host is longer than 253 characters")]
    Length,
}

// === impl Host ===

impl Host {
    /// The host as text; IPv6 without brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an address rather than a name.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.0.parse::<std::net::IpAddr>().is_ok()
    }

    /// The domains this host lies in, nearest first: `a.b.c` gives `b.c`, `c`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        let is_name = !self.is_address();
        self.0
            .match_indices('.')
            .filter(move |_| is_name)
            .filter_map(|(dot, _)| self.0.get(dot + 1..))
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'));
        if let Some(inner) = bare {
            return inner
                .parse::<Ipv6Addr>()
                .map(|address| Self(address.to_string()))
                .map_err(|_| InvalidHost::Name);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() {
            return Err(InvalidHost::Empty);
        }
        if name.len() > HOST_LENGTH_MAX {
            return Err(InvalidHost::Length);
        }
        let good_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if name.split('.').all(good_label) {
            Ok(Self(name))
        } else {
            Err(InvalidHost::Name)
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self(address.to_string())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') {
            write!(formatter, "[{}]", self.0)
        } else {
            formatter.write_str(&self.0)
        }
    }
}

// === impl Registry ===

impl Registry {
    /// Docker Hub.
    #[must_use]
    pub fn docker_hub() -> Self {
        Self {
            host: Host(DOCKER_HUB.to_owned()),
            port: None,
        }
    }

    /// The registry at `host` and `port`, with Docker Hub's names folded into one.
    #[must_use]
    pub fn new(host: Host, port: u16) -> Self {
        let port = (port != DEFAULT_PORT).then_some(port);
        if port.is_none() && DOCKER_HUB_ALIASES.contains(&host.as_str()) {
            return Self::docker_hub();
        }
        Self { host, port }
    }

    /// Whether this is Docker Hub, under any of its names.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        self.port.is_none() && self.host.as_str() == DOCKER_HUB
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port that is dialled.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }
}

impl FromStr for Registry {
    type Err = InvalidHost;

    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split_port(text)?;
        Ok(Self::new(host.parse()?, port.unwrap_or(DEFAULT_PORT)))
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(formatter, "{}:{port}", self.host),
            None => write!(formatter, "{}", self.host),
        }
    }
}

/// Splits `host[:port]`; a colon inside brackets belongs to the host.
///
/// # Errors
/// [`InvalidHost::Port`] when what follows the last colon is no port.
pub fn split_port(text: &str) -> Result<(&str, Option<u16>), InvalidHost> {
    let after_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = text
        .get(after_host..)
        .and_then(|rest| rest.find(':'))
        .map(|at| at + after_host)
    else {
        return Ok((text, None));
    };
    let (host, port) = text.split_at_checked(colon).ok_or(InvalidHost::Name)?;
    let digits = port.get(1..).unwrap_or_default();
    // `u16::from_str` takes a leading `+`; a port does not.
    let number = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse::<u16>().ok())
        .flatten();
    number
        .filter(|port| *port != 0)
        .map(|port| (host, Some(port)))
        .ok_or(InvalidHost::Port)
}

/// RFC 1035, section 2.3.4: 255 octets on the wire, 253 as text.
const HOST_LENGTH_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, InvalidHost>) {
        let got = text
            .parse::<Registry>()
            .map(|registry| registry.to_string());
        assert_eq!(got.as_deref().map_err(|error| *error), expected, "{text}");
    }

    #[test]
    fn registries_fold_to_one_spelling() {
        check("ghcr.io", Ok("ghcr.io"));
        check("GHCR.io", Ok("ghcr.io"));
        check("ghcr.io:443", Ok("ghcr.io"));
        check("ghcr.io:0443", Ok("ghcr.io"));
        check("ghcr.io.", Ok("ghcr.io"));
        check("ghcr.io:5000", Ok("ghcr.io:5000"));
        check("localhost:5000", Ok("localhost:5000"));
        check("[::1]:5000", Ok("[::1]:5000"));
        check("[0:0:0:0:0:0:0:1]", Ok("[::1]"));
        check("my_registry.example", Ok("my_registry.example"));
    }

    #[test]
    fn docker_hub_is_one_registry() {
        for name in [
            "docker.io",
            "Docker.IO",
            "index.docker.io",
            "registry-1.docker.io:443",
            "registry.hub.docker.com",
        ] {
            check(name, Ok("docker.io"));
        }
        check("docker.io:80", Ok("docker.io:80"));
        check("docker.io.evil.example", Ok("docker.io.evil.example"));
    }

    #[test]
    fn unreadable_hosts_are_refused() {
        check("", Err(InvalidHost::Empty));
        check(":443", Err(InvalidHost::Empty));
        check("ghcr.io:", Err(InvalidHost::Port));
        check("ghcr.io:0", Err(InvalidHost::Port));
        check("ghcr.io:+443", Err(InvalidHost::Port));
        check("ghcr.io:65536", Err(InvalidHost::Port));
        check("ghcr..io", Err(InvalidHost::Name));
        check("gh cr.io", Err(InvalidHost::Name));
        check("ghcr.io/acme", Err(InvalidHost::Name));
        check("user@ghcr.io", Err(InvalidHost::Name));
        check("[::1", Err(InvalidHost::Port));
        check("[fe80::1%25eth0]", Err(InvalidHost::Name));
        check("bücher.example", Err(InvalidHost::Name));
        check(&"a.".repeat(140), Err(InvalidHost::Length));
    }

    #[test]
    fn parents_are_nearest_first_and_addresses_have_none() {
        let host: Host = "a.b.c".parse().unwrap();
        assert_eq!(host.parents().collect::<Vec<_>>(), ["b.c", "c"]);
        let address: Host = "10.1.2.3".parse().unwrap();
        assert_eq!(address.parents().count(), 0);
    }
}
