//! Images on their way: what they consist of, from the running mirror into a layout, and from a layout into the mirror.

mod client;
mod intake;
mod layout;
mod pack;
mod plan;
mod platform;
mod progress;

pub(crate) use client::{ClientError, MirrorClient};
pub(crate) use intake::{Intake, Refusal, router};
pub(crate) use layout::{Folder, Layout};
pub(crate) use pack::pack;
pub(crate) use plan::{Descriptor, Plan, Planned, contents};
pub(crate) use platform::Platforms;
pub(crate) use progress::Progress;
