//! The lab: a real Docker Engine, real registries and, when asked, ramgate between them, each lab in namespaces of its own.
//!
//! ```no_run
//! use ramgate_lab::{EngineKind, Lab, LabOptions};
//!
//! let lab = Lab::start(EngineKind::Docker28_5, &LabOptions::default())?;
//! lab.start_engine()?;
//! lab.docker(&["pull", "alpine:3"])?.expect_success()?;
//! assert_eq!(lab.docker_hub().requests_under("/v2/library/alpine/blobs/").len(), 2);
//! # anyhow::Ok(())
//! ```
//!
//! ```text
//!  the test's process                  the lab: own pid, mount, ipc, uts and network namespaces, root from `provision`
//!  ┌───────────────────────────┐       ┌──────────────────────────────────────────────────────────────────────────┐
//!  │ Lab ───────── life line ──┼──────▶│ PID 1                     network `engine`          network `upstream`   │
//!  │                           │       │ docker-registry ×2        10.231.0.1 ──── veth ──── 10.231.0.2           │
//!  │ stand-ins: TLS, counting  │       │   (Unix sockets)          dockerd, docker CLI,      .10 Docker Hub       │
//!  │   their listeners are in ─┼───────┼──▶ `upstream`             ramgate, curl             .11 ghcr.io          │
//!  │   and they hand on to the │       │                                                     .12 denied.example   │
//!  │   docker-registries       │       │                                                     .13 files.example    │
//!  └───────────────────────────┘       └──────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A stand-in ([`Upstream`]) ends TLS in the test's own process. So it knows every connection and every request that reaches it,
//! without a log to wait for, and can be told to misbehave. What answers behind it is Debian's `docker-registry`.
//!
//! The engine's network reaches the stand-ins directly and nothing else: a way around ramgate is open, and seen when taken.
//!
//! Nothing outlives a lab. Its networks and mounts have no names outside of it, PID 1 leaves when the test's end of the life line
//! closes, however the test ends, and the kernel ends the rest. Only a directory and control groups can be left by a killed test;
//! the next lab removes them.

mod attribute;
mod authority;
mod borrowed;
mod command;
mod directory;
mod engine;
mod hello;
mod identities;
mod image;
mod lab;
mod name_server;
mod network;
mod overheard;
mod ramgate;
mod recorder;
mod registry;
mod server;
mod token;
mod upstream;

pub use authority::Authority;
pub use command::{Command, Output, Process};
pub use directory::{cache, root};
pub use engine::{Builder, EngineKind};
pub use hello::{hello, hello_in_records};
pub use identities::Identities;
pub use image::Image;
pub use lab::{Lab, LabOptions};
pub use overheard::Overheard;
pub use ramgate::Steering;
pub use recorder::Recorder;
pub use server::Server;
pub use upstream::{Fault, Request, Upstream};
