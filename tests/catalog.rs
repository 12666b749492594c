//! `ramgate catalog` and what the other commands make of it, against a server that answers as Docker Hub's API does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder with settings whose `catalog.url` is a server of our own.
struct Site {
    folder: tempfile::TempDir,
    asked: Arc<AtomicUsize>,
}

impl Site {
    fn new(online: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                reader.read_line(&mut line).unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = match line.split(' ').nth(1).unwrap() {
                    "/v2/orgs/grafana/" => {
                        ok(r#"{"orgname":"grafana","badge":"verified_publisher"}"#)
                    }
                    "/v2/orgs/debezium/" => ok(r#"{"orgname":"debezium","badge":"open_source"}"#),
                    _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                        .to_owned(),
                };
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            asked,
        };
        let policy = r#"{ "version": 1, "docker-hub": { "official": "allow", "verified-publisher": "allow" } }"#;
        std::fs::write(site.path("policy.json"), policy).unwrap();
        let settings = serde_json::json!({
            "policy": { "path": site.path("policy.json") },
            "state-dir": site.path("state"),
            "engine": { "socket": site.path("no-engine.sock") },
            "catalog": { "url": url, "online": online },
        });
        std::fs::write(site.path("settings.json"), settings.to_string()).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ramgate(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ramgate"))
            .args(arguments)
            .arg("--settings")
            .arg(self.path("settings.json"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What it prints, if it succeeds.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.ramgate(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn check_asks_docker_hub_where_the_decision_turns_on_it() {
    let site = Site::new(true);
    let text = site.says(&["check", "grafana/grafana"]);
    assert!(
        text.starts_with(
            "allowed: pull of docker.io/grafana/grafana (docker-hub.verified-publisher)\n"
        ),
        "{text}"
    );
    let denied = site.ramgate(&["check", "debezium/server"]);
    assert_eq!(denied.status.code(), Some(2));
    let text = String::from_utf8(denied.stdout).unwrap();
    assert!(
        text.contains("sponsored open source images not allowed"),
        "{text}"
    );
    assert_eq!(site.asked(), 2);
    site.says(&["check", "alpine"]);
    assert_eq!(site.asked(), 2);
}

#[test]
fn what_one_site_knows_another_takes_from_a_signed_bundle() {
    let (outside, inside) = (Site::new(true), Site::new(false));
    let shown = outside.says(&["catalog", "show", "grafana"]);
    assert!(shown.contains("category  verified publisher"), "{shown}");
    // Shown, and nothing left behind; a refresh keeps it.
    assert_eq!(
        outside.says(&["catalog", "refresh", "grafana", "debezium", "nobody"]),
        "taken: 3, left as they are: 0\n"
    );
    let key = outside.path("catalog.key").display().to_string();
    let trusted = outside.says(&["catalog", "keygen", &key]);
    let bundle = outside.path("hub.bundle").display().to_string();
    let wrote = outside.says(&["catalog", "export", "--key", &key, &bundle]);
    assert!(wrote.contains("3 namespaces"), "{wrote}");

    assert_eq!(
        inside.ramgate(&["check", "grafana/grafana"]).status.code(),
        Some(2)
    );
    let refused = inside.ramgate(&["catalog", "import", &bundle]);
    assert_eq!(refused.status.code(), Some(1));
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(
        complaint.contains("not in catalog.trusted-keys"),
        "{complaint}"
    );
    assert_eq!(
        inside.says(&["catalog", "import", "--trusted", trusted.trim(), &bundle]),
        "taken: 3, left as they are: 0\n"
    );
    let text = inside.says(&["check", "grafana/grafana"]);
    assert!(text.contains("docker-hub.verified-publisher"), "{text}");
    let shown = inside.says(&["catalog", "show", "grafana", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["entry"]["source"], "bundle");
    assert_eq!(shown["category"], "verified-publisher");
    assert_eq!(inside.asked(), 0);
    let refused = inside.ramgate(&["catalog", "refresh"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_key_is_its_owners_alone_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new(true);
    let key = site.path("catalog.key");
    site.says(&["catalog", "keygen", key.to_str().unwrap()]);
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let again = site.ramgate(&["catalog", "keygen", key.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(64));
    let complaint = String::from_utf8(again.stderr).unwrap();
    assert!(complaint.contains("left as it is"), "{complaint}");
}

#[test]
fn what_is_given_wrong_is_told_from_what_fails() {
    let site = Site::new(true);
    let path = |name: &str| site.path(name).display().to_string();
    std::fs::write(site.path("empty"), "").unwrap();
    let (missing, empty, folder) = (path("missing"), path("empty"), path(""));
    let bundle = path("bundle");
    for (arguments, code, text) in [
        (vec!["show", "acme/app"], 64, "`acme/app` is no namespace"),
        (vec!["show", ""], 64, "`` is no namespace"),
        (
            vec!["refresh", "grafana", "a b"],
            64,
            "`a b` is no namespace",
        ),
        (vec!["import", &missing], 64, "No such file"),
        (vec!["import", &folder], 64, "Is a directory"),
        (vec!["import", &empty], 1, "this is no bundle"),
        (
            vec!["export", "--key", &missing, &bundle],
            64,
            "No such file",
        ),
        (vec!["export", "--key", &empty, &bundle], 64, "key"),
    ] {
        let output = site.ramgate(&[&["catalog"], &arguments[..]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(text), "{arguments:?}: {error}");
    }
    assert_eq!(site.asked(), 0);

    // Nobody answers there any more: a timer that refreshes must be able to tell.
    let settings = std::fs::read_to_string(site.path("settings.json")).unwrap();
    let mut settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    let away = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    settings["catalog"]["url"] = format!("http://{away}").into();
    std::fs::write(site.path("settings.json"), settings.to_string()).unwrap();
    let output = site.ramgate(&["catalog", "refresh", "grafana"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"taken: 0, left as they are: 1\n");
}

#[test]
fn a_running_ramgate_answers_from_its_own_catalogue() {
    let site = Site::new(true);
    let text = std::fs::read_to_string(site.path("settings.json")).unwrap();
    let mut settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    settings["plugin"] = serde_json::json!({ "socket": site.path("plugins/ramgate.sock") });
    settings["mirror"] = serde_json::json!({ "listen": "127.0.0.1:0" });
    settings["egress"] = serde_json::json!({ "listen": "127.0.0.2:0" });
    settings["metrics"] = serde_json::json!({ "enabled": false });
    settings["audit"] = serde_json::json!({ "path": site.path("audit.jsonl") });
    std::fs::write(site.path("settings.json"), settings.to_string()).unwrap();
    let serving = Command::new(env!("CARGO_BIN_EXE_ramgate"))
        .args(["serve", "--settings"])
        .arg(site.path("settings.json"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut serving = Serving(serving);
    let mut log = BufReader::new(serving.0.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("ready")));
    site.says(&["catalog", "show", "grafana"]);
    assert_eq!(
        site.says(&["catalog", "refresh"]),
        "taken: 1, left as they are: 0\n"
    );
    let text = site.says(&["check", "grafana/grafana"]);
    assert!(text.contains("docker-hub.verified-publisher"), "{text}");
    // Shown, refreshed, and then known.
    assert_eq!(site.asked(), 2);
}

/// A ramgate that ends with its test.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
