//! What two lists of registries both allow.
//!
//! In a list the closest scope decides. A pair of entries is as close as the narrower of the two, so the closest pair is the pair of the
//! closest entries, as long as the hosts in one list that overlap give the same rights; where they do not, nothing is folded.

use std::collections::BTreeMap;

use super::overlap::Overlap;
use crate::action::Right;
use crate::policy::file::RegistryFile;
use crate::registries::{Registries, RegistryPattern};
use crate::scope::Glob;

/// # Errors
/// Where the lists cut across each other.
pub(super) fn both(
    ours: &[RegistryFile],
    theirs: &[RegistryFile],
) -> Result<Vec<RegistryFile>, String> {
    clear(ours)?;
    clear(theirs)?;
    let mut scopes: BTreeMap<(&str, String), Scope<'_>> = BTreeMap::new();
    for our in ours {
        for their in theirs {
            let Some(host) = narrower(our, their) else {
                continue;
            };
            for pattern in patterns(our, their)? {
                let rights = rights(our, their);
                let scope = scopes
                    .entry((host.host.as_str(), pattern))
                    .or_insert_with(|| Scope {
                        rights: rights.clone(),
                        entries: (our, their),
                    });
                scope.rights.retain(|right| rights.contains(right));
            }
        }
    }
    let ways = ways(ours);
    let mut list: Vec<RegistryFile> = Vec::new();
    for ((host, pattern), scope) in scopes {
        if scope.rights.is_empty() {
            return Err(format!(
                "at `{host}` with `{pattern}` they give different actions"
            ));
        }
        // A host goes one way, which is said once. One that only the drop-in names goes as those do which it is one of.
        let is_first = !list.iter().any(|before| before.host == host);
        let pattern_of_host = RegistryPattern::parse(host).ok().filter(|_| is_first);
        list.push(RegistryFile {
            via: pattern_of_host.and_then(|host| ways.way(&host)),
            ..scope.entry(host, &pattern)
        });
    }
    Ok(list)
}

/// What one pair of entries allows.
struct Scope<'a> {
    rights: Vec<Right>,
    entries: (&'a RegistryFile, &'a RegistryFile),
}

// === impl Scope ===

impl Scope<'_> {
    fn entry(&self, host: &str, pattern: &str) -> RegistryFile {
        let (our, their) = self.entries;
        let shared = our.redirect_hosts.iter();
        RegistryFile {
            host: host.to_owned(),
            repositories: (pattern != EVERYTHING).then(|| vec![pattern.to_owned()]),
            actions: (self.rights != [Right::Pull]).then(|| self.rights.clone()),
            redirect_hosts: shared
                .filter(|host| their.redirect_hosts.contains(host))
                .cloned()
                .collect(),
            via: None,
        }
    }
}

/// The ways that `list` says.
fn ways(list: &[RegistryFile]) -> Registries {
    let mut ways = Registries::default();
    for entry in list {
        if let (Some(via), Ok(host)) = (entry.via, RegistryPattern::parse(&entry.host)) {
            // The policy was read before: a host goes one way.
            let _ = ways.steer(&host, via);
        }
    }
    ways
}

/// That hosts of a list which overlap give the same rights.
fn clear(list: &[RegistryFile]) -> Result<(), String> {
    for one in list {
        for other in list {
            let apart = RegistryPattern::parse(&one.host) == RegistryPattern::parse(&other.host);
            if !apart && narrower(one, other).is_some() && given(one) != given(other) {
                return Err(format!(
                    "`{}` and `{}` overlap and give different actions",
                    one.host, other.host
                ));
            }
        }
    }
    Ok(())
}

/// The one of the two whose hosts both have.
fn narrower<'a>(one: &'a RegistryFile, other: &'a RegistryFile) -> Option<&'a RegistryFile> {
    let first = RegistryPattern::parse(&one.host).ok()?;
    let second = RegistryPattern::parse(&other.host).ok()?;
    if second.covers(&first) {
        Some(one)
    } else if first.covers(&second) {
        Some(other)
    } else {
        None
    }
}

fn patterns(our: &RegistryFile, their: &RegistryFile) -> Result<Vec<String>, String> {
    let mut patterns = Vec::new();
    for one in globs(our) {
        for other in globs(their) {
            match Overlap::of(&one, &other) {
                Overlap::None => {}
                Overlap::First => patterns.push(one.as_str().to_owned()),
                Overlap::Second => patterns.push(other.as_str().to_owned()),
                Overlap::Cut => {
                    return Err(format!(
                        "at `{}` the patterns `{}` and `{}` cut across each other",
                        their.host,
                        one.as_str(),
                        other.as_str()
                    ));
                }
            }
        }
    }
    Ok(patterns)
}

fn globs(entry: &RegistryFile) -> Vec<Glob> {
    entry.repositories.as_ref().map_or_else(
        || vec![Glob::all()],
        |patterns| {
            let parsed = patterns.iter().map(|pattern| Glob::parse(pattern));
            parsed.filter_map(Result::ok).collect()
        },
    )
}

fn given(entry: &RegistryFile) -> Vec<Right> {
    let mut rights = entry.actions.clone().unwrap_or_else(|| vec![Right::Pull]);
    rights.sort_unstable();
    rights.dedup();
    rights
}

fn rights(our: &RegistryFile, their: &RegistryFile) -> Vec<Right> {
    let theirs = given(their);
    let mut rights = given(our);
    rights.retain(|right| theirs.contains(right));
    rights
}

const EVERYTHING: &str = "**";
