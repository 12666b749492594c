//! What ramgate decides, and on what grounds. Pure: no IO, no clock, no environment, no async.
//!
//! A gate reads bytes and turns them into a typed question; the policy answers it.
//!
//! 1. **Names.** A [`Reference`] is read exactly as dockerd reads it. What is judged is the [`Repository`]: registry and
//!    path, folded so that every spelling of one server is one [`Registry`].
//! 2. **Questions.** [`Policy::evaluate`] takes a [`Request`]: a repository, an [`Action`] and a [`Subject`].
//!    What it must know of Docker Hub, [`Policy::evaluate_knowing`] is told by its caller as [`Categories`].
//!    [`Policy::evaluate_tunnel`] takes a host and a port; [`Policy::evaluate_local`] a way in which an image comes to be
//!    without a pull.
//! 3. **Answers.** A permit is a value and the only proof of an allowance; a [`Denial`] says why in the user's words.
//!
//! Docker's terms are kept: [registry access management](https://docs.docker.com/enterprise/security/hardened-desktop/registry-access-management/)
//! is about registries, [image access management](https://docs.docker.com/enterprise/security/hardened-desktop/image-access-management/)
//! about the categories of Docker Hub's images.

mod action;
mod address;
mod category;
mod copies;
mod decision;
mod denial;
mod digest;
pub mod document;
mod host;
mod hosts;
mod hub;
mod known_hosts;
mod local;
mod official;
mod origin;
mod policy;
mod reference;
mod registries;
mod registry_hosts;
mod repository;
mod request;
mod scope;
mod standing;
mod subject;
mod via;

pub use action::{Action, Right};
pub use address::{AddressKind, Reach};
pub use category::Category;
pub use copies::{IN_PATH, KNOWN_COPIES, KnownCopy};
pub use decision::{Decision, Grant, LocalDecision, Permit, TunnelDecision, TunnelPermit};
pub use denial::{Denial, Reason};
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use host::{DEFAULT_PORT, DOCKER_HUB, Host, InvalidHost, Registry, split_port};
pub use known_hosts::{KNOWN_REGISTRIES, KnownRegistry};
pub use local::{LocalImage, LocalRule};
pub use official::{OFFICIAL_NAMES_DATE, is_official_name};
pub use policy::{Basis, FoldError, Folded, Policy, Steering, Step, file};
pub use reference::{ImageName, InvalidReference, Reference, check_path};
pub use repository::{OFFICIAL_NAMESPACE, Repository};
pub use request::Request;
pub use standing::{Categories, Doubt, NothingKnown, Standing};
pub use subject::Subject;
pub use via::Via;
