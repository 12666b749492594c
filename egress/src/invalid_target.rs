//! Why a request is not read, for whoever sent it and for logs.

use ramgate_policy::InvalidHost;
use thiserror::Error;

/// Why a request is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidTarget {
    /// A captured request that is meant for a proxy, or for another port than it came to.
    #[error(
        "this connection was captured on its way to a web server: name the server in the Host header, and use no proxy but the site's own"
    )]
    Captured,
    /// `CONNECT` with a length or coding of content, which it does not have.
    #[error("a CONNECT request has no content")]
    Content,
    /// The host or port is none.
    #[error("the target is unreadable: {0}")]
    Host(#[from] InvalidHost),
    /// A name that a resolver may take for an address in another notation: `2130706433`, `0x7f.1`.
    #[error(
        "a name that ends in a number is an address to some; write addresses as in `192.0.2.1`"
    )]
    Numeric,
    /// The `Host` header names something else than the target.
    #[error("the Host header and the target differ")]
    HostHeader,
    /// There is no `Host` header, or more than one.
    #[error("one Host header is expected")]
    HostHeaderCount,
    /// Origin-form, asterisk-form, or `CONNECT` with more than an authority.
    #[error(
        "this is a forward proxy: name the target as `CONNECT host:port` or `http://host/path`"
    )]
    NotForProxy,
    /// `CONNECT` without a port.
    #[error("a CONNECT target has a port, as in `ghcr.io:443`")]
    PortMissing,
    /// A scheme other than `http`.
    #[error("only http:// targets are forwarded; https:// is reached with CONNECT")]
    Scheme,
    /// `user@host`.
    #[error("a target has no credentials before its host")]
    Userinfo,
}

// === impl InvalidTarget ===

impl InvalidTarget {
    /// A stable code for logs.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Captured => "captured-request",
            Self::Content => "tunnel-content",
            Self::Host(_) => "host-unreadable",
            Self::HostHeader => "host-header-differs",
            Self::HostHeaderCount => "host-header-count",
            Self::NotForProxy => "not-for-proxy",
            Self::Numeric => "host-numeric",
            Self::PortMissing => "port-missing",
            Self::Scheme => "scheme-not-forwarded",
            Self::Userinfo => "userinfo",
        }
    }
}
