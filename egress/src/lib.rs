//! The network gate: the forward proxy that the daemon is pointed at.
//!
//! Everything that dockerd and its BuildKit fetch by themselves comes by here: registries, the hosts they redirect to,
//! `ADD https://…`, git and remote contexts. The gate sees host and port and judges them by the policy; repositories are
//! the mirror's and the plugin's to judge. It is what makes a refusal of theirs final, since the daemon has no other way
//! to the network.
//!
//! One request goes through these steps, a file each.
//!
//! 1. `target`: the request is read. What could be read two ways is not read at all.
//! 2. [`Egress`]: the policy is asked. An allowance is a permit, and the next step cannot be called without one.
//! 3. `destination`: the permitted host is resolved, once, here. Addresses of this machine and its link are refused, so
//!    that no name in someone's DNS leads to them.
//! 4. `connect`: a connection to one of those addresses, and no others.
//! 5. `tunnel` or `forward`: bytes for `CONNECT`, one request for `http://`. The first bytes through a tunnel are judged by
//!    `guard`, so that TLS goes to the host that was asked for and not to another behind the same address.
//!
//! Connections that were not made to the gate but captured on their way, as containers' are, come in by `captured`: the
//! ClientHello or the `Host` header says what they are for, and they go on through the same steps from the second on.
//!
//! `answer` makes every answer of the gate's own. Its words are the reason phrase too, because that is what
//! `docker pull` prints: `Error response from daemon: Get "https://ghcr.io/v2/": Access to ghcr.io has been restricted …`.

mod activity;
mod answer;
mod audit;
mod authority;
mod begun;
mod buffers;
mod captured;
mod client_hello;
mod closed_addresses;
mod config;
mod connect;
mod conversation;
mod destination;
mod forward;
mod gate;
mod guard;
mod headers;
mod inspection;
mod invalid_target;
mod metrics;
mod no_proxy;
mod original_destination;
mod own_connections;
mod places;
mod pump;
mod resolver;
mod server;
mod slot;
mod target;
mod tasks;
mod tunnel;
mod upstream;
mod upstream_proxy;

pub use authority::{Authority, AuthorityError, NewAuthority};
pub use config::Config;
pub use gate::Egress;
pub use inspection::{Inspect, Inspected, InspectedBody, Inspection};
pub use metrics::Metrics;
pub use no_proxy::{InvalidNoProxy, NoProxy};
pub use server::{serve, serve_captured};
pub use upstream_proxy::UpstreamProxy;
