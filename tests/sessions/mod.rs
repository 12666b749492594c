//! Sessions of clients, each on each engine. See `tests/clients.rs`.

mod build;
mod client;
mod compose;
mod docker;
mod python;
mod swarm;

use crate::trials::Scenario;

/// Every session, by the name of its client.
pub(crate) const SESSIONS: [(&str, Scenario); 7] = [
    ("its_own_docker", docker::own),
    ("the_docker_of_another_version", docker::other),
    ("buildx", build::buildx),
    ("compose", compose::compose),
    ("docker_py", python::docker_py),
    ("portainer", python::portainer),
    ("swarm", swarm::swarm),
];
