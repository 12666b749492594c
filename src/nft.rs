//! The firewall rules that send what containers fetch by themselves to the network gate.
//!
//! They are nftables', in a table of their own, which no other program has a reason to touch. [`Ruleset`] is their text,
//! [`program`] runs `nft`.

mod group;
mod interface;
mod network;
pub(crate) mod program;
mod ruleset;
mod standing;

pub(crate) use group::Group;
pub(crate) use interface::Interface;
pub(crate) use network::Network;
pub(crate) use ruleset::Ruleset;
pub(crate) use standing::Standing;

/// The table's family and name.
pub(crate) const TABLE: &str = "inet ramgate";
