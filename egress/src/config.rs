//! What the gate is told besides the policy.

use std::time::Duration;

use ramgate_policy::Steering;
use ramgate_provenance::Canaries;

use crate::inspection::Inspection;
use crate::upstream_proxy::UpstreamProxy;

/// Steering and limits of the gate.
#[derive(Clone, Debug)]
pub struct Config {
    /// What of the daemon's traffic has another way, and so none here.
    pub steering: Steering,
    /// For a client to send the head of a request, and for an idle connection to send its next one.
    pub header_read_timeout: Duration,
    /// The size of a request's head. hyper takes no less than 8 KiB.
    pub header_size_max_bytes: usize,
    /// For a name to be resolved.
    pub resolve_timeout: Duration,
    /// For a connection to be made, over all addresses of a name together.
    pub connect_timeout: Duration,
    /// For a tunnel or a forwarded request in which no byte moves either way.
    pub idle_timeout: Duration,
    /// Tunnels and forwarded requests at the same time.
    pub tunnels_max: usize,
    /// Captured connections of one client at the same time.
    pub captured_max_per_client: usize,
    /// For what is under way when the gate shuts down.
    pub shutdown_grace: Duration,
    /// Hosts that the daemon is asked for to see whether it comes past here.
    pub canaries: Canaries,
    /// A proxy of the site, behind which the gate stands.
    pub upstream_proxy: Option<UpstreamProxy>,
    /// What reads tunnels to registries, where `steering` says that they are read.
    pub inspection: Option<Inspection>,
}

// === impl Config ===

impl Config {
    /// The defaults, with `steering`.
    #[must_use]
    pub fn new(steering: Steering) -> Self {
        Self {
            steering,
            // dockerd sends a head in one write. Also how long a connection may stay open between two requests.
            header_read_timeout: Duration::from_secs(30),
            // CONNECT carries a handful of headers. Twice hyper's least, for `Authorization` over plain HTTP.
            header_size_max_bytes: 16 * 1024,
            resolve_timeout: Duration::from_secs(5),
            // Go's default dialler, which dockerd uses, gives up after 30 s: ours must, and must say so, before.
            connect_timeout: Duration::from_secs(10),
            // Longer than the 90 s for which Go keeps an idle connection (net/http, DefaultTransport).
            idle_timeout: Duration::from_secs(300),
            // An idle one takes some 8 KiB here, and two of the file descriptors that the unit allows 524,288 of.
            tunnels_max: 16_384,
            // A quarter: more than a busy builder has, and room for the daemon and others.
            captured_max_per_client: 4096,
            // systemd kills after 90 s, and `docker stop` after 10.
            shutdown_grace: Duration::from_secs(5),
            canaries: Canaries::default(),
            upstream_proxy: None,
            inspection: None,
        }
    }
}
