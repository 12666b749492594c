//! Where the engine is led: to the mirror, to the proxy, and from where it fetches each registry.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::engine::of_daemon_json;
use super::gates::allowed;
use super::{Draft, Route, strings};
use crate::install::host::{CERTIFICATES, HOSTS_FILE, PROXY_DROP_IN};
use crate::install::json_file::Edit;
use crate::install::step::Part;
use crate::install::unit;

/// Adds the steps; the edits of `daemon.json`.
pub(super) fn draft(draft: &mut Draft<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    if draft.choices.level.steers()
        && let Some((mirror, egress)) = listeners(draft)
    {
        edits.extend(mirrors(draft, mirror));
        edits.extend(proxy(draft, egress));
        routes(draft, mirror);
    }
    edits
}

/// Where mirror and proxy will listen.
fn listeners(draft: &mut Draft<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let settings = &draft.host.settings;
    let mirror = settings.mirror.as_ref().map(|mirror| mirror.listen);
    // Switched off they have no address; switched on by this plan they have the default ones.
    let mirror = mirror.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5050)));
    let egress = settings
        .egress
        .as_ref()
        .map(|egress| egress.listen)
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5051)));
    for (key, address) in [("mirror.listen", mirror), ("egress.listen", egress)] {
        if !address.ip().is_loopback() || address.port() == 0 {
            draft.problems.push(format!(
                "settings: `{key}` is {address}; the engine is pointed at a fixed port on this host's own address, as 127.0.0.1:5050"
            ));
            return None;
        }
    }
    Some((mirror, egress))
}

fn mirrors(draft: &mut Draft<'_>, mirror: SocketAddr) -> Option<Edit> {
    let url = format!("http://{mirror}");
    let now = strings(of_daemon_json(draft, &["registry-mirrors"]));
    // With a slash at the end it is the same.
    if let [only] = now.as_slice()
        && only.trim_end_matches('/') == url
    {
        return None;
    }
    let replaced: Vec<&String> = now.iter().filter(|other| **other != url).collect();
    if let Some(first) = replaced.first() {
        draft.notes.push(format!(
            "`registry-mirrors` held {}, which would be a way past ramgate: it is replaced, and put back by `ramgate uninstall`. To \
             fetch through it still, name it in {}: {{\"mirror\": {{\"upstreams\": {{\"docker.io\": {{\"url\": \"{first}\"}}}}}}}}",
            replaced.iter().map(|url| format!("`{url}`")).collect::<Vec<_>>().join(", "),
            crate::settings::DEFAULT_PATH,
        ));
    }
    Some(Edit::Set {
        key: &["registry-mirrors"],
        value: json!([url]),
    })
}

/// Sends all else that the engine fetches to the network gate: in `daemon.json`, or in the unit of an engine that is too old for it.
fn proxy(draft: &mut Draft<'_>, egress: SocketAddr) -> Vec<Edit> {
    let url = format!("http://{egress}");
    let docker = &draft.host.docker;
    let in_environment =
        ["HTTP_PROXY", "HTTPS_PROXY"].map(|name| docker.environment(name).map(str::to_owned));
    let in_file = [&["proxies", "http-proxy"], &["proxies", "https-proxy"]]
        .map(|key| of_daemon_json(draft, key).and_then(|value| value.as_str().map(str::to_owned)));
    let set: Vec<&String> = in_environment.iter().chain(&in_file).flatten().collect();
    if let Some(other) = set
        .iter()
        .find(|other| !other.is_empty() && ***other != url)
    {
        draft.problems.push(format!(
            "the engine has a proxy already, `{}`, which would be a way past ramgate's: name it as `egress.upstream-proxy.url` in {}, \
             so that ramgate goes through it, take it away from the engine, and run this again; or install `--level plugin`",
            without_password(other),
            crate::settings::DEFAULT_PATH
        ));
        return Vec::new();
    }
    if in_environment.iter().all(Option::is_some) && !has_drop_in(draft) {
        return Vec::new();
    }
    if docker.reads_proxies() {
        let set = |key, value: &str| Edit::Set {
            key,
            value: json!(value),
        };
        return vec![
            set(&["proxies", "http-proxy"], &url),
            set(&["proxies", "https-proxy"], &url),
            set(&["proxies", "no-proxy"], NO_PROXY),
        ];
    }
    if draft.host.systemd && docker.unit.is_some() {
        let text = unit::PROXY_DROP_IN.replace("http://127.0.0.1:5051", &url);
        let path = draft.host.layout.units.join(PROXY_DROP_IN);
        draft.file(
            &path,
            Part::Engine,
            text.as_bytes(),
            0o644,
            "the engine's proxy",
        );
    } else {
        draft.problems.push(format!(
            "this engine takes its proxy from its environment alone: have it started with HTTP_PROXY={url} HTTPS_PROXY={url} \
             NO_PROXY={NO_PROXY}, and run this again"
        ));
    }
    Vec::new()
}

fn has_drop_in(draft: &Draft<'_>) -> bool {
    let path = draft.host.layout.units.join(PROXY_DROP_IN);
    draft.host.entry(&path).content().is_some()
}

/// Where the engine fetches each registry from, for those engines that can be told.
///
/// A registry that users log in to themselves stays reached directly: their logins are not handed to a mirror. A directory of its
/// own keeps it from what `_default` says.
fn routes(draft: &mut Draft<'_>, mirror: SocketAddr) {
    draft.routes.push(("docker.io".to_owned(), Route::Mirror));
    let allowed = allowed(&draft.planned(&draft.host.policy_file));
    let hosts: Vec<String> = allowed.iter().map(|(host, _)| host.clone()).collect();
    let upstreams: Vec<String> = draft
        .host
        .settings
        .mirror
        .iter()
        .flat_map(|mirror| mirror.upstreams.keys().map(ToString::to_string))
        .collect();
    let others = allowed.iter().filter(|(host, _)| host != "docker.io");
    let others: Vec<(String, Route)> = others
        .map(|(host, via)| {
            let by_mirror = draft.host.docker.reads_hosts_files()
                && (via.as_deref() == Some("mirror")
                    || (via.is_none() && upstreams.contains(host)));
            let inspects = draft.choices.level.inspects() && via.as_deref() != Some("direct");
            let route = match (by_mirror, inspects) {
                (true, _) => Route::Mirror,
                (false, true) => Route::Inspect,
                (false, false) => Route::Direct,
            };
            (host.clone(), route)
        })
        .collect();
    draft.routes.extend(others.iter().cloned());
    if !draft.host.docker.reads_hosts_files() {
        return;
    }
    // With patterns, or without a list, which registries are reached directly cannot be said in files.
    let listed = !hosts.is_empty() && !hosts.iter().any(|host| host.contains('*'));
    let to_mirror = format!(
        "# By `ramgate install`: what has no directory of its own here is fetched through ramgate's mirror.\nserver = \"http://{mirror}\"\n"
    );
    let place = if listed { "_default" } else { "docker.io" };
    let directories = draft.host.registry_directories();
    let write = |draft: &mut Draft<'_>, name: &str, text: &str| {
        let path = Path::new(CERTIFICATES).join(name).join(HOSTS_FILE);
        draft.file(
            &path,
            Part::Engine,
            text.as_bytes(),
            0o644,
            "where images are fetched from",
        );
    };
    write(draft, place, &to_mirror);
    if !listed {
        return;
    }
    for (host, route) in &others {
        let has_file = directories
            .iter()
            .any(|(name, has_file)| name == host && *has_file);
        if *route != Route::Mirror && !has_file {
            write(draft, host, DIRECT);
        }
    }
    let shadowing = directories.iter().map(|(name, _)| name);
    for name in shadowing.filter(|name| *name != "_default" && !hosts.contains(name)) {
        draft.notes.push(format!(
            "{CERTIFICATES}/{name} keeps the engine from asking the mirror for `{name}`; the network gate judges it"
        ));
    }
}

/// A proxy's address may have a password in it.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        (_, None) => url.to_owned(),
    }
}

/// Go proxies no loopback address anyway; to say so is for those who read it.
const NO_PROXY: &str = "localhost,127.0.0.0/8,::1";
/// No `server` and no `host`: as if there were no file, and `_default` does not count.
const DIRECT: &str = "# By `ramgate install`: this registry is reached directly, so that users' own logins reach it. The network gate and the\n# authorization plugin judge it.\n";
