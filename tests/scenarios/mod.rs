//! The scenarios, each on each engine. See `tests/engines.rs`.

mod builds;
mod containers;
mod operation;
mod place;
mod pulls;
mod requests;

use anyhow::Result;

pub(crate) use place::Place;

/// A scenario: what is done, and what must come of it.
pub(crate) type Scenario = fn(&Place) -> Result<()>;

/// Every scenario, by name.
pub(crate) const SCENARIOS: [(&str, Scenario); 10] = [
    (
        "an_official_image_is_pulled_through_the_mirror_and_runs",
        pulls::official_image,
    ),
    ("everyday_commands_work", containers::everyday_commands),
    (
        "a_registry_that_is_not_listed_is_refused_and_never_asked",
        pulls::registry_not_listed,
    ),
    (
        "of_docker_hub_only_what_is_allowed_comes",
        pulls::categories,
    ),
    (
        "what_is_cached_is_refused_once_docker_hub_is_off_the_list",
        pulls::cached_is_refused,
    ),
    (
        "builds_get_what_is_allowed_and_nothing_else",
        builds::builds,
    ),
    (
        "a_denied_image_that_is_on_the_host_does_not_run",
        containers::local_image,
    ),
    ("requests_that_lie_are_refused", requests::lying_requests),
    (
        "the_engine_fails_closed_without_ramgate_and_recovers_with_it",
        operation::fails_closed,
    ),
    (
        "a_broken_policy_leaves_the_last_good_one_in_force",
        operation::broken_policy,
    ),
];
