//! The scenarios, each on each engine. See `tests/engines.rs`.

mod builds;
mod categories;
mod containers;
mod doctor;
mod identity;
mod mounts;
mod operation;
mod place;
mod pulls;
mod requests;
mod subjects;
pub(crate) mod trials;

use trials::Scenario;

/// Every scenario, by name.
pub(crate) const SCENARIOS: [(&str, Scenario); 23] = [
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
        "a_publisher_is_known_by_its_badge_and_for_no_longer",
        categories::by_badge,
    ),
    (
        "a_category_holds_in_builds_services_copies_and_the_cache",
        categories::everywhere,
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
    (
        "a_denied_image_stays_denied_whatever_is_made_of_it",
        identity::laundering,
    ),
    (
        "what_is_built_here_runs_whatever_it_is_called",
        identity::own_images,
    ),
    (
        "an_image_that_came_unwatched_is_unknown_until_it_is_adopted",
        identity::unwatched,
    ),
    (
        "a_container_that_no_request_was_allowed_for_is_found",
        identity::watched,
    ),
    (
        "a_denied_container_that_the_engine_restarts_with_itself_is_found",
        identity::started_with_the_engine,
    ),
    (
        "a_container_that_was_started_while_ramgate_was_down_is_found",
        identity::started_while_down,
    ),
    ("a_lost_ledger_is_made_anew", identity::lost_ledger),
    (
        "a_mounted_image_is_judged_at_each_start_by_what_it_is",
        mounts::mounted_images,
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
    (
        "status_is_well_and_a_refusal_is_explained_by_its_id",
        operation::status_and_audit,
    ),
    (
        "callers_with_certificates_have_what_their_names_may",
        subjects::by_certificate,
    ),
    (
        "what_doctor_calls_enforced_fails_and_what_it_calls_open_goes_through",
        doctor::coverage,
    ),
];
