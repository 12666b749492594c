//! The table of routes. `{name}` stands for anything that is not empty, slashes included, as in dockerd's own templates.

use super::Rule;

/// One route of the Engine API.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) template: &'static str,
    pub(crate) rule: Rule,
}

/// The route of a request, and what stands in the place of its template's first `{…}`.
///
/// HEAD is answered by dockerd where a row says so, and OPTIONS everywhere. A route that is unknown and reads is let pass.
pub(super) fn find(method: &str, path: &str) -> Option<(&'static Route, String)> {
    let rows = || ROUTES.iter().filter(move |route| route.method == method);
    let exact = rows()
        .find(|route| route.template == path)
        .map(|route| (route, String::new()));
    let named = || rows().find_map(|route| matched(route.template, path).map(|name| (route, name)));
    exact.or_else(named).or_else(|| match method {
        "GET" | "HEAD" | "OPTIONS" => Some((&UNKNOWN_READ, String::new())),
        _ => None,
    })
}

/// What stands in the place of the first `{…}`, if `path` matches.
fn matched(template: &str, path: &str) -> Option<String> {
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
    (!name.is_empty()).then(|| name.to_owned())
}

const fn get(template: &'static str) -> Route {
    Route {
        method: "GET",
        template,
        rule: Rule::Read,
    }
}

const fn post(template: &'static str, rule: Rule) -> Route {
    Route {
        method: "POST",
        template,
        rule,
    }
}

const fn delete(template: &'static str) -> Route {
    Route {
        method: "DELETE",
        template,
        rule: Rule::NoImage,
    }
}

static UNKNOWN_READ: Route = Route {
    method: "GET",
    template: "(unknown)",
    rule: Rule::Read,
};

/// Every route from API 1.24 on; those that came later are in newer engines alone, and those that went are harmless here.
pub(crate) static ROUTES: &[Route] = &[
    // system
    get("/_ping"),
    Route {
        method: "HEAD",
        template: "/_ping",
        rule: Rule::Read,
    },
    get("/events"),
    get("/info"),
    get("/version"),
    get("/system/df"),
    post("/auth", Rule::NoImage),
    get("/debug/vars"),
    get("/debug/pprof/{name}"),
    post("/debug/pprof/symbol", Rule::NoImage),
    // containers
    Route {
        method: "HEAD",
        template: "/containers/{name}/archive",
        rule: Rule::Read,
    },
    get("/containers/json"),
    get("/containers/{name}/export"),
    get("/containers/{name}/changes"),
    get("/containers/{name}/json"),
    get("/containers/{name}/top"),
    get("/containers/{name}/logs"),
    get("/containers/{name}/stats"),
    get("/containers/{name}/attach/ws"),
    get("/containers/{name}/archive"),
    get("/containers/{name}/checkpoints"),
    get("/exec/{id}/json"),
    post("/containers/create", Rule::CreateContainer),
    post("/containers/{name}/start", Rule::StartContainer),
    post("/containers/{name}/restart", Rule::StartContainer),
    post("/containers/{name}/kill", Rule::NoImage),
    post("/containers/{name}/pause", Rule::NoImage),
    post("/containers/{name}/unpause", Rule::NoImage),
    post("/containers/{name}/stop", Rule::NoImage),
    post("/containers/{name}/wait", Rule::NoImage),
    post("/containers/{name}/resize", Rule::NoImage),
    post("/containers/{name}/attach", Rule::NoImage),
    post("/containers/{name}/copy", Rule::NoImage),
    post("/containers/{name}/exec", Rule::NoImage),
    post("/containers/{name}/rename", Rule::NoImage),
    post("/containers/{name}/update", Rule::NoImage),
    post("/containers/{name}/checkpoints", Rule::NoImage),
    post("/containers/prune", Rule::NoImage),
    post("/exec/{name}/start", Rule::NoImage),
    post("/exec/{name}/resize", Rule::NoImage),
    post("/commit", Rule::CommitContainer),
    Route {
        method: "PUT",
        template: "/containers/{name}/archive",
        rule: Rule::NoImage,
    },
    delete("/containers/{name}"),
    delete("/containers/{name}/checkpoints/{checkpoint}"),
    // images
    get("/images/json"),
    Route {
        method: "GET",
        template: "/images/search",
        rule: Rule::SearchImages,
    },
    get("/images/get"),
    get("/images/{name}/get"),
    get("/images/{name}/history"),
    get("/images/{name}/json"),
    get("/images/{name}/attestations"),
    post("/images/create", Rule::CreateImage),
    post("/images/load", Rule::LoadImage),
    post("/images/{name}/push", Rule::PushImage),
    post("/images/{name}/tag", Rule::TagImage),
    post("/images/prune", Rule::NoImage),
    delete("/images/{name}"),
    Route {
        method: "GET",
        template: "/distribution/{name}/json",
        rule: Rule::InspectDistribution,
    },
    // build
    post("/build", Rule::Build),
    post("/build/prune", Rule::NoImage),
    post("/build/cancel", Rule::NoImage),
    post("/session", Rule::BuildSession),
    post("/grpc", Rule::BuildSession),
    // volumes
    get("/volumes"),
    get("/volumes/{name}"),
    post("/volumes/create", Rule::NoImage),
    post("/volumes/prune", Rule::NoImage),
    Route {
        method: "PUT",
        template: "/volumes/{name}",
        rule: Rule::NoImage,
    },
    delete("/volumes/{name}"),
    // networks
    get("/networks"),
    get("/networks/{id}"),
    post("/networks/create", Rule::NoImage),
    post("/networks/{id}/connect", Rule::NoImage),
    post("/networks/{id}/disconnect", Rule::NoImage),
    post("/networks/prune", Rule::NoImage),
    delete("/networks/{id}"),
    // plugins
    get("/plugins"),
    get("/plugins/{name}/json"),
    Route {
        method: "GET",
        template: "/plugins/privileges",
        rule: Rule::PullPlugin,
    },
    post("/plugins/pull", Rule::PullPlugin),
    post("/plugins/create", Rule::CreatePlugin),
    post("/plugins/{name}/upgrade", Rule::PullPlugin),
    post("/plugins/{name}/push", Rule::PushPlugin),
    post("/plugins/{name}/enable", Rule::NoImage),
    post("/plugins/{name}/disable", Rule::ChangePlugin),
    post("/plugins/{name}/set", Rule::ChangePlugin),
    Route {
        method: "DELETE",
        template: "/plugins/{name}",
        rule: Rule::ChangePlugin,
    },
    // swarm
    get("/swarm"),
    get("/swarm/unlockkey"),
    post("/swarm/init", Rule::JoinSwarm),
    post("/swarm/join", Rule::JoinSwarm),
    post("/swarm/leave", Rule::NoImage),
    post("/swarm/update", Rule::NoImage),
    post("/swarm/unlock", Rule::NoImage),
    get("/services"),
    get("/services/{id}"),
    get("/services/{id}/logs"),
    post("/services/create", Rule::CreateService),
    post("/services/{id}/update", Rule::UpdateService),
    delete("/services/{id}"),
    get("/nodes"),
    get("/nodes/{id}"),
    post("/nodes/{id}/update", Rule::NoImage),
    delete("/nodes/{id}"),
    get("/tasks"),
    get("/tasks/{id}"),
    get("/tasks/{id}/logs"),
    get("/secrets"),
    get("/secrets/{id}"),
    post("/secrets/create", Rule::NoImage),
    post("/secrets/{id}/update", Rule::NoImage),
    delete("/secrets/{id}"),
    get("/configs"),
    get("/configs/{id}"),
    post("/configs/create", Rule::NoImage),
    post("/configs/{id}/update", Rule::NoImage),
    delete("/configs/{id}"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: Option<(&str, &str)>) {
        let found = find(method, path);
        let got = found
            .as_ref()
            .map(|(route, name)| (route.template, name.as_str()));
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
        check("OPTIONS", "/containers/create", Some(("(unknown)", "")));
        check("POST", "/brand/new", None);
        check("POST", "/images/create/more", None);
        check("POST", "/Images/create", None);
        check("post", "/images/create", None);
        check("PATCH", "/containers/x", None);
        check("POST", "/containers/start", None);
        check("POST", "/", None);
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
