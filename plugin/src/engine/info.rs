//! What the engine says of itself.

use std::net::SocketAddr;

use serde::Deserialize;

/// The part of `GET /info` that says what the daemon fetches through.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct Info {
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    registry_config: Option<RegistryConfig>,
    driver_status: Option<Vec<(String, String)>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RegistryConfig {
    mirrors: Option<Vec<String>>,
}

// === impl Info ===

impl Info {
    /// Whether images lie in the containerd store.
    pub(crate) fn has_containerd_store(&self) -> bool {
        let status = self.driver_status.iter().flatten();
        status
            .clone()
            .any(|(key, value)| key == "driver-type" && value == "io.containerd.snapshotter.v1")
    }

    /// What keeps the daemon from fetching through `mirror` and `egress` alone, each as advice to an administrator.
    pub(crate) fn missing(&self, mirror: SocketAddr, egress: SocketAddr) -> Vec<String> {
        let is = |url: &str, address: SocketAddr| {
            let authority = url.strip_prefix("http://").unwrap_or(url);
            authority.strip_suffix('/').unwrap_or(authority) == address.to_string()
        };
        let mut mirrors = self
            .registry_config
            .iter()
            .flat_map(|config| &config.mirrors)
            .flatten()
            .peekable();
        let mut missing = Vec::new();
        if mirrors.peek().is_none() || !mirrors.all(|url| is(url, mirror)) {
            missing.push(format!(
                "set `registry-mirrors` in daemon.json to [\"http://{mirror}\"] alone"
            ));
        }
        if !is(&self.http_proxy, egress) || !is(&self.https_proxy, egress) {
            missing.push(format!(
                "set the daemon's `http-proxy` and `https-proxy` to http://{egress}"
            ));
        }
        let mut excepted = self
            .no_proxy
            .split([',', ' '])
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        if let Some(entry) = excepted.find(|entry| !is_this_host(entry)) {
            missing.push(format!("take `{entry}` out of the daemon's `no-proxy`"));
        }
        missing
    }
}

/// What `no-proxy` may name: Go never proxies loopback anyway.
fn is_this_host(entry: &str) -> bool {
    let address = entry
        .split('/')
        .next()
        .unwrap_or_default()
        .parse::<std::net::IpAddr>();
    let wide = matches!(entry.split_once('/'), Some((_, bits)) if !matches!(bits, "8" | "16" | "24" | "32" | "128"));
    entry == "localhost" || (address.is_ok_and(|address| address.is_loopback()) && !wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(mirrors: &[&str], proxy: &str, no_proxy: &str) -> Info {
        let mirrors = Some(mirrors.iter().map(ToString::to_string).collect());
        Info {
            http_proxy: proxy.to_owned(),
            https_proxy: proxy.to_owned(),
            no_proxy: no_proxy.to_owned(),
            registry_config: Some(RegistryConfig { mirrors }),
            driver_status: None,
        }
    }

    #[track_caller]
    fn check(info: &Info, expected: bool) {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let missing = info.missing(address(5050), address(5051));
        assert_eq!(missing.is_empty(), expected, "{missing:?}");
    }

    #[test]
    fn the_gates_are_in_force_if_the_daemon_uses_both_and_nothing_beside_them() {
        let (mirror, proxy) = ("http://127.0.0.1:5050/", "http://127.0.0.1:5051");
        check(&info(&[mirror], proxy, ""), true);
        check(&info(&[mirror], proxy, "localhost,127.0.0.0/8, ::1"), true);
        check(&info(&[mirror], "127.0.0.1:5051", ""), true);
        check(&info(&[], proxy, ""), false);
        check(&info(&[mirror, "https://other.example/"], proxy, ""), false);
        check(&info(&[mirror], "", ""), false);
        check(&info(&[mirror], "http://127.0.0.1:3128", ""), false);
        check(&info(&[mirror], proxy, "ghcr.io"), false);
        check(&info(&[mirror], proxy, "*"), false);
        check(&info(&[mirror], proxy, "127.0.0.1/0"), false);
        check(&Info::default(), false);
    }

    #[test]
    fn the_store_is_told_by_its_driver() {
        let info: Info = serde_json::from_str(
            r#"{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#,
        )
        .unwrap();
        assert!(info.has_containerd_store());
        let info: Info =
            serde_json::from_str(r#"{"DriverStatus":[["Backing Filesystem","extfs"]]}"#).unwrap();
        assert!(!info.has_containerd_store());
    }
}
