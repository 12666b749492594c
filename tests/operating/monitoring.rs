//! What is shipped for monitoring asks for what there is.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};

use serde_json::json;

use crate::served::Served;

/// The words of `text` that name a metric of ramgate's.
fn named(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("ramgate_") && word.len() > "ramgate_".len())
        .collect()
}

/// Every name under which a sample of a metric may be asked for, from its `# TYPE` line.
fn samples(metrics: &str) -> BTreeSet<String> {
    let types = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let names = types.flat_map(|(name, kind)| {
        let ends: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        ends.iter().map(move |end| format!("{name}{end}"))
    });
    names.collect()
}

/// A registry that has nothing.
fn empty_registry() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let _ = stream.write_all(
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
        }
    });
    address
}

#[test]
fn every_metric_that_alerts_and_dashboard_name_is_served() {
    let upstream = json!({ "url": format!("http://{}", empty_registry()) });
    let settings = json!({
        "mirror": { "upstreams": { "registry.test": upstream } },
        // Nobody is there.
        "otlp": { "endpoint": "http://127.0.0.1:9" },
    });
    let policy = r#"{ "version": 1, "registries": [ { "host": "registry.test" } ] }"#;
    let served = Served::start(policy, &settings, |_| {});
    // What is counted by a label that is only then known.
    let nothing = served.pull("/v2/acme/app/manifests/1?ns=registry.test");
    assert!(nothing.starts_with("HTTP/1.1 404"), "{nothing}");
    let denied = served.pull("/v2/evil/tool/manifests/1");
    assert!(denied.starts_with("HTTP/1.1 403"), "{denied}");
    let denied = served.connect("evil.example:443");
    assert!(denied.starts_with("HTTP/1.1 403"), "{denied}");

    let samples = samples(&served.metrics());
    for text in [
        include_str!("../../packaging/monitoring/alerts.yaml"),
        include_str!("../../packaging/monitoring/alerts.test.yaml"),
        include_str!("../../packaging/monitoring/dashboard.json"),
    ] {
        let named = named(text);
        assert!(named.len() >= 3, "{named:?}");
        let missing: Vec<_> = named
            .iter()
            .filter(|name| !samples.contains(**name))
            .collect();
        assert!(missing.is_empty(), "{missing:?} of {samples:?}");
    }
}
