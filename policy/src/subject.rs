//! On whose behalf a decision is asked.

use crate::host::Host;

/// On whose behalf a decision is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The daemon itself, fetching for someone whom the gate cannot know: the mirror's and the egress gate's caller.
    Daemon,
    /// Whoever opened a connection that was captured on its way, by its address: a container, or a program of the host. It has no
    /// identity, and nobody has judged it before, as the engine gate has whom the daemon fetches for.
    Address(Host),
    /// A caller of the Engine API who gave no identity, as on the Unix socket.
    Anonymous,
    /// A caller with an identity: the common name of a verified client certificate, or a name given to `ramgate check --as`.
    User(String),
}

// === impl Subject ===

impl Subject {
    /// The name for logs: the user's, the address, or `daemon`, or `anonymous`.
    #[must_use]
    pub fn principal(&self) -> &str {
        match self {
            Self::Daemon => "daemon",
            Self::Address(address) => address.as_str(),
            Self::Anonymous => "anonymous",
            Self::User(name) => name,
        }
    }
}
