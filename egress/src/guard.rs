//! What may go through a tunnel that is open: TLS to the very host that was asked for.
//!
//! A permit is for a name. Behind the address of that name there may be others, as behind every CDN's, and the ClientHello
//! chooses among them. So where it is TLS it must name the host of the `CONNECT`; and to a registry it must be TLS, must
//! name it, and must not hide another name from the gate.

use ramgate_policy::Host;
use thiserror::Error;

use crate::client_hello::{ClientHello, InvalidHello, Opening};

/// What a tunnel is for.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    host: Host,
    is_registry: bool,
}

/// Why a tunnel is closed at its first bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RefusedOpening {
    /// The inner name could be any.
    #[error(
        "the ClientHello is encrypted (ECH), so that its server name cannot be judged; a host that is no registry may be named in `egress.hosts`"
    )]
    Encrypted,
    /// It cannot be read.
    #[error(transparent)]
    Invalid(#[from] InvalidHello),
    /// No name, where one is due.
    #[error("the ClientHello has no server name, which clients of a name send")]
    NoServerName,
    /// Not TLS, where it must be.
    #[error("a tunnel to a registry carries TLS and nothing else")]
    NotTls,
    /// Another name.
    #[error("the ClientHello asks for `{0}`, the tunnel was opened for another host")]
    OtherServerName(Host),
}

// === impl Guard ===

impl Guard {
    pub(crate) const fn new(host: Host, is_registry: bool) -> Self {
        Self { host, is_registry }
    }

    /// Judges what a client begins with.
    pub(crate) fn judge(&self, opening: &Opening) -> Result<(), RefusedOpening> {
        match opening {
            Opening::Plain if self.is_registry => Err(RefusedOpening::NotTls),
            Opening::Plain => Ok(()),
            Opening::Hello(hello) => self.judge_hello(hello),
        }
    }

    fn judge_hello(&self, hello: &ClientHello) -> Result<(), RefusedOpening> {
        if self.is_registry && hello.encrypted {
            return Err(RefusedOpening::Encrypted);
        }
        match &hello.server_name {
            Some(name) if *name == self.host => Ok(()),
            Some(name) => Err(RefusedOpening::OtherServerName(name.clone())),
            // Addresses are not sent as server names (RFC 6066, section 3).
            None if self.host.is_address() => Ok(()),
            None => Err(RefusedOpening::NoServerName),
        }
    }
}

// === impl RefusedOpening ===

impl RefusedOpening {
    /// A stable code for logs and metrics.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Encrypted => "server-name-encrypted",
            Self::Invalid(_) => "client-hello-unreadable",
            Self::NoServerName => "server-name-missing",
            Self::NotTls => "not-tls",
            Self::OtherServerName(_) => "server-name-differs",
        }
    }

    /// What a TLS client is told (RFC 8446, section 6): a fatal `access_denied`, or `decode_error`.
    pub(crate) const fn alert(&self) -> Option<[u8; 7]> {
        match self {
            Self::NotTls => None,
            Self::Invalid(_) => Some([21, 3, 3, 0, 2, 2, 50]),
            Self::Encrypted | Self::NoServerName | Self::OtherServerName(_) => {
                Some([21, 3, 3, 0, 2, 2, 49])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: Option<&str>, encrypted: bool) -> Opening {
        Opening::Hello(ClientHello {
            server_name: name.map(|name| name.parse().unwrap()),
            encrypted,
        })
    }

    fn code(host: &str, is_registry: bool, opening: &Opening) -> &'static str {
        let guard = Guard::new(host.parse().unwrap(), is_registry);
        guard
            .judge(opening)
            .map_or_else(|refused| refused.code(), |()| "ok")
    }

    #[test]
    fn a_registry_is_reached_by_tls_that_names_it() {
        let code = |opening| code("ghcr.io", true, &opening);
        assert_eq!(code(hello(Some("ghcr.io"), false)), "ok");
        assert_eq!(
            code(hello(Some("evil.example"), false)),
            "server-name-differs"
        );
        assert_eq!(code(hello(Some("a.ghcr.io"), false)), "server-name-differs");
        assert_eq!(code(hello(None, false)), "server-name-missing");
        assert_eq!(code(hello(Some("ghcr.io"), true)), "server-name-encrypted");
        assert_eq!(
            code(hello(Some("evil.example"), true)),
            "server-name-encrypted"
        );
        assert_eq!(code(Opening::Plain), "not-tls");
    }

    #[test]
    fn other_hosts_may_speak_what_they_like_but_not_to_another_name() {
        let code = |opening| code("downloads.acme.example", false, &opening);
        assert_eq!(code(Opening::Plain), "ok");
        assert_eq!(code(hello(Some("downloads.acme.example"), true)), "ok");
        assert_eq!(code(hello(Some("ghcr.io"), false)), "server-name-differs");
        assert_eq!(code(hello(Some("ghcr.io"), true)), "server-name-differs");
        assert_eq!(code(hello(None, false)), "server-name-missing");
    }

    #[test]
    fn to_an_address_no_name_is_sent() {
        assert_eq!(code("140.82.121.33", false, &hello(None, false)), "ok");
        assert_eq!(
            code("140.82.121.33", false, &hello(Some("ghcr.io"), false)),
            "server-name-differs"
        );
    }
}
