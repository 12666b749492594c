//! What can go wrong on the far side of the gate.

use std::io;

use thiserror::Error;

/// Why a permitted target was not reached, or gave no answer.
#[derive(Debug, Error)]
pub(crate) enum UpstreamError {
    /// No address took the connection in time.
    #[error("no connection within the time allowed")]
    ConnectTimeout,
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The resolver refused or failed.
    #[error("the name could not be resolved: {0}")]
    NotResolved(String),
    /// The site's own proxy refused or failed.
    #[error("the upstream proxy does not lead there: {0}")]
    Proxy(String),
    /// What came back is not HTTP, or broke off.
    #[error("the answer is unreadable: {0}")]
    Protocol(#[source] hyper::Error),
    /// The resolver did not answer in time.
    #[error("the name was not resolved within the time allowed")]
    ResolveTimeout,
    /// Nothing came back in time.
    #[error("no answer within the time allowed")]
    ResponseTimeout,
    /// A change of protocol that was not asked for.
    #[error("the answer changes the protocol, which was not asked for")]
    Switched,
    /// Every address refused the connection; the last error.
    #[error("no connection: {0}")]
    Unreachable(#[source] io::Error),
}

// === impl UpstreamError ===

impl UpstreamError {
    /// Whether time ran out, rather than something being wrong.
    pub(crate) const fn is_timeout(&self) -> bool {
        match self {
            Self::ConnectTimeout | Self::ResolveTimeout | Self::ResponseTimeout => true,
            Self::NoAddress
            | Self::NotResolved(_)
            | Self::Protocol(_)
            | Self::Proxy(_)
            | Self::Switched
            | Self::Unreachable(_) => false,
        }
    }
}
