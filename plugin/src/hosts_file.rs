//! `/etc/docker/certs.d/HOST/hosts.toml`: where dockerd since 28.0 fetches a registry's images from instead.
//!
//! A proxy is never asked for an address of this host, so an endpoint here that is not our mirror is a way past both gates. And
//! a file that cannot be read is passed over by dockerd, silently.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use ramgate_policy::split_port;
use toml::{Table, Value};

/// What in the files below `directory` leads past the gates, each as advice to an administrator.
#[must_use]
pub fn problems(directory: &Path, mirror: SocketAddr) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path().join("hosts.toml");
        let problem = match std::fs::read_to_string(&path) {
            Ok(text) => problem(&text, mirror),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        problems
            .extend(problem.map(|problem| format!("mend or remove {}: {problem}", path.display())));
    }
    problems
}

fn problem(text: &str, mirror: SocketAddr) -> Option<String> {
    let Ok(table) = text.parse::<Table>() else {
        return Some("it is no TOML, so dockerd passes it over".to_owned());
    };
    let server = table.get("server").and_then(Value::as_str);
    let hosts = table.get("host").and_then(Value::as_table);
    let endpoints = server.into_iter().chain(
        hosts
            .into_iter()
            .flat_map(|hosts| hosts.keys().map(String::as_str)),
    );
    endpoints
        .into_iter()
        .find(|endpoint| leads_past(endpoint, mirror))
        .map(|endpoint| format!("`{endpoint}` is on this host and not ramgate's mirror"))
}

/// Whether a request to `endpoint` stays on this host and is not for our mirror.
fn leads_past(endpoint: &str, mirror: SocketAddr) -> bool {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Ok((host, port)) = split_port(authority) else {
        return true;
    };
    let port = port.unwrap_or(if scheme == "http" { 80 } else { 443 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    // To Go, an IPv4 address is the same in the clothes of IPv6.
    match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) if SocketAddr::new(address, port) == mirror => false,
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        // Go resolves no name before it asks a proxy, but for this one.
        Err(_) => bare.eq_ignore_ascii_case("localhost") && port != mirror.port(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, sound: bool) {
        let mirror = SocketAddr::from(([127, 0, 0, 1], 5050));
        assert_eq!(problem(text, mirror).is_none(), sound, "{text}");
    }

    #[test]
    fn endpoints_on_this_host_are_our_mirror_or_a_way_past() {
        check("server = \"http://127.0.0.1:5050\"", true);
        check("server = \"http://localhost:5050\"", true);
        check("server = \"https://ghcr.io\"", true);
        check("ca = \"/etc/ca.pem\"", true);
        check("", true);
        check("server = \"http://127.0.0.1:9999\"", false);
        check("server = \"127.0.0.1\"", false);
        check("server = \"http://localhost:9999\"", false);
        check("server = \"http://[::1]:5050\"", false);
        check("server = \"http://[::ffff:127.0.0.1]:9999\"", false);
        check(
            "server = \"https://ghcr.io\"\n[host.\"http://127.0.0.9:5050\"]\n",
            false,
        );
        check("server = ", false);
    }

    #[test]
    fn files_are_found_below_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let mirror = SocketAddr::from(([127, 0, 0, 1], 5050));
        assert!(problems(directory.path(), mirror).is_empty());
        assert!(problems(&directory.path().join("none"), mirror).is_empty());
        let host = directory.path().join("evil.example");
        std::fs::create_dir(&host).unwrap();
        std::fs::write(host.join("ca.crt"), "").unwrap();
        assert!(problems(directory.path(), mirror).is_empty());
        std::fs::write(host.join("hosts.toml"), "server = \"http://127.0.0.1:1\"").unwrap();
        let found = problems(directory.path(), mirror);
        assert!(found[0].contains("evil.example/hosts.toml"), "{found:?}");
    }
}
