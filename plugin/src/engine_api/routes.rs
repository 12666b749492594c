//! The table of routes. `{name}` stands for anything that is not empty, slashes included, as in dockerd's own templates.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Rule;

/// One route of the Engine API.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) template: &'static str,
    pub(crate) rule: Rule,
    /// The API version that brought it.
    pub(super) since: &'static str,
    /// The last API version that has it.
    pub(super) until: Option<&'static str>,
    /// What it can do to images, in a line; empty if nothing.
    pub(super) bears: &'static str,
}

/// The rows, by method and first component of the template, in the table's order.
type Index = HashMap<(&'static str, &'static str), Vec<&'static Route>>;

// === impl Route ===

impl Route {
    const fn until(self, version: &'static str) -> Self {
        Self {
            until: Some(version),
            ..self
        }
    }

    const fn bears(self, what: &'static str) -> Self {
        Self {
            bears: what,
            ..self
        }
    }
}

/// The route of a request, and what stands in the place of its template's first `{…}`.
///
/// HEAD is answered by dockerd where a row says so, and OPTIONS everywhere. A route that is unknown and reads is let pass.
pub(super) fn find<'a>(method: &str, path: &'a str) -> Option<(&'static Route, &'a str)> {
    static INDEX: LazyLock<Index> = LazyLock::new(index);
    let rows = |first| {
        let rows = INDEX.get(&(method, first));
        rows.into_iter().flatten().copied()
    };
    let first = first_component(path);
    let exact = rows(first).find(|route| route.template == path);
    let named = || {
        let mut rows = rows(first).chain(rows(ANY));
        rows.find_map(|route| matched(route.template, path).map(|name| (route, name)))
    };
    let unknown = || match method {
        "GET" | "HEAD" | "OPTIONS" => Some((&UNKNOWN_READ, "")),
        _ => None,
    };
    exact
        .map(|route| (route, ""))
        .or_else(named)
        .or_else(unknown)
}

/// Each request looks here: through a handful of rows and not through all.
fn index() -> Index {
    let mut index = Index::new();
    for route in ROUTES {
        let key = (route.method, first_component(route.template));
        index.entry(key).or_default().push(route);
    }
    index
}

/// `containers` of `/containers/json`.
fn first_component(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// What stands in the place of the first `{…}`, if `path` matches.
fn matched<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let (before, rest) = template.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let inner = path.strip_prefix(before)?;
    let name = match after.split_once('{') {
        None => inner.strip_suffix(after)?,
        // A second name, as of a checkpoint: the part between decides.
        Some((between, _)) => inner
            .split_once(between)
            .filter(|(_, second)| !second.is_empty())
            .map(|(first, _)| first)?,
    };
    (!name.is_empty()).then_some(name)
}

/// A row of the table.
const fn row(
    method: &'static str,
    template: &'static str,
    rule: Rule,
    since: &'static str,
) -> Route {
    Route {
        method,
        template,
        rule,
        since,
        until: None,
        bears: "",
    }
}

static UNKNOWN_READ: Route = row("GET", "(unknown)", Rule::Read, "");

/// Every route from API 1.24 to 1.56. Those that came later are in newer engines alone, and those that went are harmless here.
#[rustfmt::skip]
pub(crate) static ROUTES: &[Route] = &[
    // system
    row("HEAD", "/_ping", Rule::Read, "1.40"),
    row("GET", "/_ping", Rule::Read, "1.24"),
    row("POST", "/auth", Rule::NoImage, "1.24").bears("logs in to the registry that its body names, which no plugin is shown; the network gate judges the host"),
    row("GET", "/debug/pprof/", Rule::Read, "1.24"),
    row("GET", "/debug/pprof/cmdline", Rule::Read, "1.24"),
    row("GET", "/debug/pprof/profile", Rule::Read, "1.24"),
    row("GET", "/debug/pprof/symbol", Rule::Read, "1.24"),
    row("GET", "/debug/pprof/trace", Rule::Read, "1.24"),
    row("GET", "/debug/pprof/{name}", Rule::Read, "1.24"),
    row("GET", "/debug/vars", Rule::Read, "1.24"),
    row("GET", "/events", Rule::Read, "1.24"),
    row("GET", "/info", Rule::Read, "1.24"),
    row("GET", "/system/df", Rule::Read, "1.25"),
    row("GET", "/version", Rule::Read, "1.24"),
    row("OPTIONS", "/{path}", Rule::Read, "1.24"),
    // containers
    row("POST", "/commit", Rule::CommitContainer, "1.24").bears("makes an image of a container"),
    row("POST", "/containers/create", Rule::CreateContainer, "1.24").bears("names the image that will run, and images to mount"),
    row("GET", "/containers/json", Rule::Read, "1.24"),
    row("POST", "/containers/prune", Rule::NoImage, "1.25"),
    row("DELETE", "/containers/{name}", Rule::NoImage, "1.24"),
    row("HEAD", "/containers/{name}/archive", Rule::Read, "1.24"),
    row("GET", "/containers/{name}/archive", Rule::Read, "1.24"),
    row("PUT", "/containers/{name}/archive", Rule::NoImage, "1.24").bears("puts files into a container: its content is its user's"),
    row("POST", "/containers/{name}/attach", Rule::NoImage, "1.24").bears("talks to what runs"),
    row("GET", "/containers/{name}/attach/ws", Rule::Read, "1.24"),
    row("GET", "/containers/{name}/changes", Rule::Read, "1.24"),
    row("GET", "/containers/{name}/checkpoints", Rule::Read, "1.25"),
    row("POST", "/containers/{name}/checkpoints", Rule::NoImage, "1.25").bears("writes processes down; starting from them is judged"),
    row("DELETE", "/containers/{name}/checkpoints/{checkpoint}", Rule::NoImage, "1.25"),
    row("POST", "/containers/{name}/copy", Rule::NoImage, "1.12").until("1.23").bears("reads files from a container; gone in 23.0"),
    row("POST", "/containers/{name}/exec", Rule::ExecInContainer, "1.24").bears("runs what is in a container: its content is its user's"),
    row("GET", "/containers/{name}/export", Rule::Read, "1.24").bears("a container as an archive, which `import` would take in"),
    row("GET", "/containers/{name}/json", Rule::Read, "1.24"),
    row("POST", "/containers/{name}/kill", Rule::NoImage, "1.24"),
    row("GET", "/containers/{name}/logs", Rule::Read, "1.24"),
    row("POST", "/containers/{name}/pause", Rule::NoImage, "1.24"),
    row("POST", "/containers/{name}/rename", Rule::RenameContainer, "1.24").bears("a name that was judged could become that of another container before it is started"),
    row("POST", "/containers/{name}/resize", Rule::NoImage, "1.24"),
    row("POST", "/containers/{name}/restart", Rule::RestartContainer, "1.24").bears("as start"),
    row("POST", "/containers/{name}/start", Rule::StartContainer, "1.24").bears("runs the image of a container that may have been created under another policy"),
    row("GET", "/containers/{name}/stats", Rule::Read, "1.24"),
    row("POST", "/containers/{name}/stop", Rule::NoImage, "1.24"),
    row("GET", "/containers/{name}/top", Rule::Read, "1.24"),
    row("POST", "/containers/{name}/unpause", Rule::NoImage, "1.24").bears("goes on with what has been started, and a tighter policy stops nothing that runs"),
    row("POST", "/containers/{name}/update", Rule::NoImage, "1.24").bears("limits and restart policy; a restart by the engine itself is no request"),
    row("POST", "/containers/{name}/wait", Rule::NoImage, "1.24"),
    row("GET", "/exec/{id}/json", Rule::Read, "1.24"),
    row("POST", "/exec/{name}/resize", Rule::NoImage, "1.24"),
    row("POST", "/exec/{name}/start", Rule::NoImage, "1.24").bears("as exec"),
    // images
    row("GET", "/distribution/{name}/json", Rule::InspectDistribution, "1.30").bears("contacts the registry for the manifest"),
    row("POST", "/images/create", Rule::CreateImage, "1.24").bears("brings an image in, from a registry, from a URL or from its body"),
    row("GET", "/images/get", Rule::Read, "1.24").bears("images as an archive, which `load` would take in"),
    row("GET", "/images/json", Rule::Read, "1.24"),
    row("POST", "/images/load", Rule::LoadImage, "1.24").bears("brings images in, under any names"),
    row("POST", "/images/prune", Rule::NoImage, "1.25").bears("removes images"),
    row("GET", "/images/search", Rule::SearchImages, "1.24").bears("contacts the index of a registry"),
    row("DELETE", "/images/{name}", Rule::NoImage, "1.24").bears("removes an image"),
    row("GET", "/images/{name}/attestations", Rule::Read, "1.55").bears("reads what lies beside an image in the local store"),
    row("GET", "/images/{name}/get", Rule::Read, "1.24").bears("an image as an archive, which `load` would take in"),
    row("GET", "/images/{name}/history", Rule::Read, "1.24"),
    row("GET", "/images/{name}/json", Rule::Read, "1.24"),
    row("POST", "/images/{name}/push", Rule::PushImage, "1.24").bears("brings an image out"),
    row("POST", "/images/{name}/tag", Rule::TagImage, "1.24").bears("gives an image a name"),
    // build
    row("POST", "/build", Rule::Build, "1.24").bears("makes an image from a Dockerfile that no plugin is shown"),
    row("POST", "/build/cancel", Rule::NoImage, "1.38").bears("stops a build"),
    row("POST", "/build/prune", Rule::NoImage, "1.31").bears("removes layers"),
    row("POST", "/grpc", Rule::BuildSession, "1.40").bears("carries whole builds"),
    row("POST", "/session", Rule::BuildSession, "1.31").bears("carries a build's context and credentials"),
    // volumes
    row("GET", "/volumes", Rule::Read, "1.24"),
    row("POST", "/volumes/create", Rule::NoImage, "1.24").bears("a volume holds no image"),
    row("POST", "/volumes/prune", Rule::NoImage, "1.25"),
    row("GET", "/volumes/{name}", Rule::Read, "1.24"),
    row("PUT", "/volumes/{name}", Rule::NoImage, "1.42"),
    row("DELETE", "/volumes/{name}", Rule::NoImage, "1.24"),
    // networks
    row("GET", "/networks", Rule::Read, "1.24"),
    row("GET", "/networks/", Rule::Read, "1.24"),
    row("POST", "/networks/create", Rule::NoImage, "1.24"),
    row("POST", "/networks/prune", Rule::NoImage, "1.25"),
    row("GET", "/networks/{id}", Rule::Read, "1.24"),
    row("DELETE", "/networks/{id}", Rule::NoImage, "1.24"),
    row("POST", "/networks/{id}/connect", Rule::NoImage, "1.24"),
    row("POST", "/networks/{id}/disconnect", Rule::NoImage, "1.24"),
    // plugins
    row("GET", "/plugins", Rule::Read, "1.24"),
    row("POST", "/plugins/create", Rule::CreatePlugin, "1.25").bears("brings in an image that runs as root"),
    row("GET", "/plugins/privileges", Rule::InspectPlugin, "1.25").bears("contacts the registry for the plugin's configuration"),
    row("POST", "/plugins/pull", Rule::PullPlugin, "1.25").bears("brings in an image that runs as root"),
    row("GET", "/plugins/{name}", Rule::Read, "1.24").until("1.24"),
    row("DELETE", "/plugins/{name}", Rule::ChangePlugin, "1.24").bears("may remove ramgate"),
    row("POST", "/plugins/{name}/disable", Rule::ChangePlugin, "1.24").bears("may switch ramgate off"),
    row("POST", "/plugins/{name}/enable", Rule::EnablePlugin, "1.24").bears("runs a plugin that may have come under another policy"),
    row("GET", "/plugins/{name}/json", Rule::Read, "1.25"),
    row("POST", "/plugins/{name}/push", Rule::PushPlugin, "1.25").bears("brings a plugin out"),
    row("POST", "/plugins/{name}/set", Rule::ChangePlugin, "1.25").bears("may change ramgate"),
    row("POST", "/plugins/{name}/upgrade", Rule::UpgradePlugin, "1.26").bears("brings in an image that runs as root, under the name of one that is there"),
    // swarm
    row("GET", "/configs", Rule::Read, "1.30"),
    row("POST", "/configs/create", Rule::NoImage, "1.30"),
    row("GET", "/configs/{id}", Rule::Read, "1.30"),
    row("DELETE", "/configs/{id}", Rule::NoImage, "1.30"),
    row("POST", "/configs/{id}/update", Rule::NoImage, "1.30"),
    row("GET", "/nodes", Rule::Read, "1.24"),
    row("GET", "/nodes/{id}", Rule::Read, "1.24"),
    row("DELETE", "/nodes/{id}", Rule::NoImage, "1.24"),
    row("POST", "/nodes/{id}/update", Rule::NoImage, "1.24").bears("may send a node tasks, of services that were judged"),
    row("GET", "/secrets", Rule::Read, "1.25"),
    row("POST", "/secrets/create", Rule::NoImage, "1.25"),
    row("GET", "/secrets/{id}", Rule::Read, "1.25"),
    row("DELETE", "/secrets/{id}", Rule::NoImage, "1.25"),
    row("POST", "/secrets/{id}/update", Rule::NoImage, "1.26"),
    row("GET", "/services", Rule::Read, "1.24"),
    row("POST", "/services/create", Rule::CreateService, "1.24").bears("names the image, or the plugin, that nodes will pull and run"),
    row("GET", "/services/{id}", Rule::Read, "1.24"),
    row("DELETE", "/services/{id}", Rule::NoImage, "1.24"),
    row("GET", "/services/{id}/logs", Rule::Read, "1.25"),
    row("POST", "/services/{id}/update", Rule::UpdateService, "1.24").bears("names the image that nodes will run next, or goes back to the one before"),
    row("GET", "/swarm", Rule::Read, "1.24"),
    row("POST", "/swarm/init", Rule::JoinSwarm, "1.24").bears("afterwards tasks pull and run images without a request"),
    row("POST", "/swarm/join", Rule::JoinSwarm, "1.24").bears("afterwards tasks pull and run images without a request"),
    row("POST", "/swarm/leave", Rule::NoImage, "1.24"),
    row("POST", "/swarm/unlock", Rule::NoImage, "1.25").bears("lets a manager go on that joined before"),
    row("GET", "/swarm/unlockkey", Rule::Read, "1.25"),
    row("POST", "/swarm/update", Rule::NoImage, "1.24"),
    row("GET", "/tasks", Rule::Read, "1.24"),
    row("GET", "/tasks/{id}", Rule::Read, "1.24"),
    row("GET", "/tasks/{id}/logs", Rule::Read, "1.29"),
];

/// The first component of the one template that has a name for it.
const ANY: &str = "{path}";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: Option<(&str, &str)>) {
        let found = find(method, path);
        let got = found.as_ref().map(|(route, name)| (route.template, *name));
        assert_eq!(got, expected, "{method} {path}");
    }

    #[test]
    fn routes_are_found_as_dockerd_finds_them() {
        check("POST", "/images/create", Some(("/images/create", "")));
        check(
            "POST",
            "/images/ghcr.io/acme/app/push",
            Some(("/images/{name}/push", "ghcr.io/acme/app")),
        );
        check(
            "POST",
            "/images/push/tag",
            Some(("/images/{name}/tag", "push")),
        );
        check(
            "POST",
            "/images/a/tag/push",
            Some(("/images/{name}/push", "a/tag")),
        );
        check(
            "POST",
            "/containers/a/b/start",
            Some(("/containers/{name}/start", "a/b")),
        );
        check(
            "DELETE",
            "/images/ghcr.io/acme/app",
            Some(("/images/{name}", "ghcr.io/acme/app")),
        );
        check(
            "DELETE",
            "/containers/c/checkpoints/k",
            Some(("/containers/{name}", "c/checkpoints/k")),
        );
        check(
            "GET",
            "/plugins/privileges",
            Some(("/plugins/privileges", "")),
        );
        check("GET", "/containers/json", Some(("/containers/json", "")));
    }

    #[test]
    fn what_is_unknown_passes_only_if_it_reads() {
        check("GET", "/brand/new", Some(("(unknown)", "")));
        check(
            "OPTIONS",
            "/containers/create",
            Some(("/{path}", "containers/create")),
        );
        check("OPTIONS", "/", Some(("(unknown)", "")));
        check("HEAD", "/containers/create", Some(("(unknown)", "")));
        check("HEAD", "/images/create", Some(("(unknown)", "")));
        check("POST", "/brand/new", None);
        check("POST", "/images/create/more", None);
        check("POST", "/Images/create", None);
        check("post", "/images/create", None);
        check("PATCH", "/containers/x", None);
        check("POST", "/containers/start", None);
        check("POST", "/", None);
    }

    /// `METHOD PATH SINCE [UNTIL]` of a line, the path's names without their words.
    fn known() -> Vec<(
        &'static str,
        &'static str,
        &'static str,
        Option<&'static str>,
    )> {
        let lines = include_str!("../../tests/routes/known.txt").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| {
                let mut words = line.split(' ');
                let mut word = || words.next();
                (word().unwrap(), word().unwrap(), word().unwrap(), word())
            })
            .collect()
    }

    /// A template without the words in its braces.
    fn bare(template: &str) -> String {
        let mut parts = template.split('{');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |bare, part| {
            format!("{bare}{{}}{}", part.split_once('}').unwrap().1)
        })
    }

    #[test]
    fn every_known_route_has_a_row_and_every_row_is_known() {
        let known = known();
        assert!(known.len() > 120);
        for (method, path, since, until) in &known {
            let row = ROUTES
                .iter()
                .find(|row| row.method == *method && bare(row.template) == *path);
            let row = row.unwrap_or_else(|| panic!("{method} {path} has no row"));
            assert_eq!((row.since, row.until), (*since, *until), "{method} {path}");
        }
        for row in ROUTES {
            let path = bare(row.template);
            let twin = known
                .iter()
                .find(|(method, known, ..)| *method == row.method && *known == path);
            assert!(twin.is_some(), "{} {path} is not known", row.method);
        }
    }

    #[test]
    fn a_known_route_is_found_by_its_own_row() {
        for row in ROUTES {
            let sample = bare(row.template).replace("{}", "sample");
            let (found, _) = find(row.method, &sample).unwrap();
            assert_eq!(found.rule, row.rule, "{} {sample}", row.method);
            assert_ne!(found.template, "(unknown)", "{} {sample}", row.method);
        }
    }

    #[test]
    fn what_changes_something_and_passes_says_why() {
        let silent = |row: &&Route| row.rule == Rule::NoImage && row.bears.is_empty();
        for row in ROUTES.iter().filter(silent) {
            // What names no image and no container's image at all needs no words.
            let parts = [
                "/containers",
                "/exec",
                "/networks",
                "/volumes",
                "/swarm",
                "/services",
                "/nodes",
                "/secrets",
                "/configs",
            ];
            assert!(
                parts.iter().any(|part| row.template.starts_with(part)),
                "{} {}",
                row.method,
                row.template
            );
        }
    }

    #[test]
    fn no_row_stands_twice() {
        for (index, route) in ROUTES.iter().enumerate() {
            let twin = ROUTES
                .iter()
                .skip(index + 1)
                .find(|other| other.method == route.method && other.template == route.template);
            assert!(twin.is_none(), "{} {}", route.method, route.template);
        }
    }

    #[test]
    fn a_path_that_two_rows_match_is_decided_the_same_by_both() {
        for route in ROUTES {
            let sample = route.template.replace(['{', '}'], "");
            for other in ROUTES
                .iter()
                .filter(|other| other.method == route.method && other.template != sample)
            {
                if matched(other.template, &sample).is_some()
                    && ROUTES.iter().all(|exact| exact.template != sample)
                {
                    assert_eq!(
                        route.rule, other.rule,
                        "{sample}: {} and {}",
                        route.template, other.template
                    );
                }
            }
        }
    }
}
