//! What two parts `docker-hub` both allow.

use super::overlap::Overlap;
use crate::policy::file::{DockerHubFile, OfficialNames, PolicyFile, Switch};
use crate::repository::OFFICIAL_NAMESPACE;
use crate::scope::Glob;

/// Folds `theirs` into the policy's part and those of its teams. Returns what of `theirs` is left out.
pub(super) fn fold(file: &mut PolicyFile, theirs: &DockerHubFile) -> Vec<String> {
    let teams = || {
        file.subjects
            .teams
            .values()
            .filter_map(|team| team.docker_hub.as_ref())
    };
    let ours = file.docker_hub.as_ref();
    let listed = |hub: &DockerHubFile| hub.official_names == Some(OfficialNames::Listed);
    // What one of them takes for official and another for community is neither.
    let disagree = ours
        .into_iter()
        .chain(teams())
        .any(|hub| listed(hub) != listed(theirs));
    // Where all is allowed, every exemption is.
    let open = teams().next().is_none()
        && ours.is_none_or(|ours| switches(ours) == [Some(Switch::Allow); 4]);
    let mut notes = Vec::new();

    let mut both = if open {
        theirs.clone()
    } else {
        meet(ours, theirs, &mut notes)
    };
    if ours.is_some_and(listed) || listed(theirs) {
        both.official_names = Some(OfficialNames::Listed);
    }
    for team in file.subjects.teams.values_mut() {
        if let Some(hub) = &mut team.docker_hub {
            let said = switches(hub);
            let names = hub.official_names;
            *hub = meet(Some(hub), theirs, &mut Vec::new());
            hub.official_names = names;
            // What a team leaves open the policy says, which had nothing to say if it had no such part.
            let was_silent = file.docker_hub.is_none();
            let parts = [
                &mut hub.official,
                &mut hub.verified_publisher,
                &mut hub.sponsored_open_source,
                &mut hub.community,
            ];
            for (part, said) in parts.into_iter().zip(said) {
                if said.is_none() && !was_silent {
                    *part = None;
                }
            }
            if disagree {
                hub.community = Some(Switch::Deny);
            }
        }
    }
    if disagree && both.community == Some(Switch::Allow) {
        both.community = Some(Switch::Deny);
        notes.push(
            "docker-hub.community is deny, for the files differ in `official-names`".to_owned(),
        );
    }
    file.docker_hub = Some(both);
    notes
}

/// The categories that both allow, and the exemptions that both have.
fn meet(
    ours: Option<&DockerHubFile>,
    theirs: &DockerHubFile,
    notes: &mut Vec<String>,
) -> DockerHubFile {
    let nothing = DockerHubFile::default();
    let ours = ours.unwrap_or(&nothing);
    let both = |one: Option<Switch>, other: Option<Switch>| {
        let allowed = one == Some(Switch::Allow) && other == Some(Switch::Allow);
        Some(if allowed { Switch::Allow } else { Switch::Deny })
    };
    let mut hub = DockerHubFile {
        official: both(ours.official, theirs.official),
        verified_publisher: both(ours.verified_publisher, theirs.verified_publisher),
        sponsored_open_source: both(ours.sponsored_open_source, theirs.sponsored_open_source),
        community: both(ours.community, theirs.community),
        ..DockerHubFile::default()
    };
    let (our, their) = (exemptions(ours), exemptions(theirs));
    for (pattern, wanted) in &their {
        let mut whole = false;
        for (other, had) in &our {
            match Overlap::of(wanted, had) {
                Overlap::First => {
                    whole = true;
                    exempt(&mut hub, pattern);
                }
                Overlap::Second => exempt(&mut hub, other),
                Overlap::None | Overlap::Cut => {}
            }
        }
        if !whole {
            notes.push(format!("`{pattern}` is exempt from the categories there and not in the policy; it is left to them"));
        }
    }
    hub
}

fn exempt(hub: &mut DockerHubFile, pattern: &str) {
    let (list, name) = match pattern.strip_suffix("/**") {
        Some(organization)
            if !organization.contains(['/', '*']) && organization != OFFICIAL_NAMESPACE =>
        {
            (&mut hub.organizations, organization)
        }
        _ => (&mut hub.repositories, pattern),
    };
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}

/// Patterns of what is allowed whatever its category.
fn exemptions(hub: &DockerHubFile) -> Vec<(String, Glob)> {
    let organizations = hub.organizations.iter().map(|name| format!("{name}/**"));
    let repositories = hub.repositories.iter().map(|pattern| {
        if pattern.contains(['/', '*']) {
            pattern.clone()
        } else {
            format!("{OFFICIAL_NAMESPACE}/{pattern}")
        }
    });
    let parsed = organizations
        .chain(repositories)
        .map(|pattern| Glob::parse(&pattern).map(|glob| (pattern, glob)));
    parsed.filter_map(Result::ok).collect()
}

const fn switches(hub: &DockerHubFile) -> [Option<Switch>; 4] {
    [
        hub.official,
        hub.verified_publisher,
        hub.sponsored_open_source,
        hub.community,
    ]
}
