//! the network gate: forward proxy.
