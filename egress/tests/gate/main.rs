//! The network gate over real sockets: what a client reads, and what the target sees.

// Marked as tests so that `unwrap` may stand in helpers, as it may in tests.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod chaining;
#[cfg(test)]
mod denials;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod inspection;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod openings;
#[cfg(test)]
mod recorder;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tunnels;
#[cfg(test)]
mod unreadable;
