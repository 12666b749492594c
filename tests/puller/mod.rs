//! The clients. See `tests/pullers.rs`.

mod containerd;
mod place;
mod podman;
mod skopeo;

use anyhow::Result;
pub(crate) use place::Place;

/// What a client does, and what must come of it.
pub(crate) type Act = fn(&Place) -> Result<()>;

pub(crate) const TRIALS: [(&str, Act); 11] = [
    ("containerd::pulls_through_hosts_toml", containerd::pulls),
    (
        "containerd::is_refused_and_goes_nowhere_else",
        containerd::is_refused,
    ),
    ("podman::pulls_from_a_location", podman::pulls),
    ("podman::pulls_from_a_mirror", podman::pulls_from_mirror),
    (
        "podman::is_refused_and_goes_nowhere_else",
        podman::is_refused,
    ),
    ("skopeo::copies_byte_for_byte", skopeo::copies),
    ("skopeo::lists_tags", skopeo::lists_tags),
    ("skopeo::copies_artifacts", skopeo::copies_artifacts),
    ("skopeo::copies_zstd_layers", skopeo::copies_zstd),
    (
        "skopeo::gets_no_copy_of_what_docker_hub_has_once_that_is_denied",
        skopeo::copy_elsewhere,
    ),
    ("skopeo::is_refused", skopeo::is_refused),
];
