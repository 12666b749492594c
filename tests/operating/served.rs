//! `ramgate serve` on ports of its own, without an engine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A folder with settings and a policy, and a ramgate that serves by them until this is dropped.
pub(crate) struct Served {
    folder: tempfile::TempDir,
    ramgate: Child,
    /// What it reads while it runs.
    kept: Mutex<Vec<tempfile::TempDir>>,
    pub(crate) mirror: SocketAddr,
    pub(crate) egress: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

// === impl Served ===

impl Served {
    /// With `policy`, and `settings` on top of those that keep it to itself. `before` is called with the settings' file.
    pub(crate) fn start(policy: &str, settings: &Value, before: impl FnOnce(&str)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("policy.json"), policy).unwrap();
        let [mirror, egress, metrics] = free_ports();
        let mut all = json!({
            "policy": { "path": path("policy.json") },
            "state-dir": path("state"),
            "engine": { "socket": path("no-engine.sock") },
            "plugin": { "socket": path("plugins/ramgate.sock") },
            "mirror": { "listen": mirror, "storage": format!("file://{}", path("store").display()) },
            "egress": { "listen": egress },
            "metrics": { "listen": metrics },
            "audit": { "path": path("log/audit.jsonl") },
            "catalog": { "online": false },
        });
        merge(&mut all, settings);
        let file = path("settings.json");
        std::fs::write(&file, all.to_string()).unwrap();
        before(file.to_str().unwrap());
        let log = std::fs::File::create(path("stderr")).unwrap();
        let ramgate = ramgate()
            .args(["serve", "--settings"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let served = Self {
            folder,
            ramgate,
            kept: Mutex::default(),
            mirror,
            egress,
            metrics,
        };
        for address in [mirror, egress, metrics] {
            served.wait_for(address);
        }
        served
    }

    /// Keeps `folder` for as long.
    pub(crate) fn keep(&self, folder: tempfile::TempDir) {
        self.kept.lock().unwrap().push(folder);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a command of ramgate with these settings does.
    pub(crate) fn ramgate(&self, arguments: &[&str]) -> Output {
        ramgate()
            .args(arguments)
            .arg("--settings")
            .arg(self.path("settings.json"))
            .output()
            .unwrap()
    }

    /// What is in the audit log after a while, as soon as `enough`.
    pub(crate) fn audited(&self, enough: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(self.path("log/audit.jsonl")).unwrap_or_default();
            if enough(&log) {
                return log;
            }
            assert!(Instant::now() < deadline, "the audit log has:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The metrics, as text.
    pub(crate) fn metrics(&self) -> String {
        ask(self.metrics, "GET", "/metrics", "metrics")
    }

    /// The mirror's answer.
    pub(crate) fn pull(&self, target: &str) -> String {
        ask(self.mirror, "GET", target, "mirror")
    }

    /// The proxy's answer.
    pub(crate) fn connect(&self, target: &str) -> String {
        ask(self.egress, "CONNECT", target, target)
    }

    fn wait_for(&self, address: SocketAddr) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let log = || std::fs::read_to_string(self.path("stderr")).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "nothing answers at {address}:\n{}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.ramgate.kill();
        let _ = self.ramgate.wait();
    }
}

/// Sends one request, and reads the whole answer.
pub(crate) fn ask(address: SocketAddr, method: &str, target: &str, host: &str) -> String {
    ask_with(address, method, target, host, &[])
}

/// The same, with headers.
pub(crate) fn ask_with(
    address: SocketAddr,
    method: &str,
    target: &str,
    host: &str,
    headers: &[(&str, &str)],
) -> String {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn ramgate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ramgate"))
}

/// All at once, so that no two are the same.
fn free_ports<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Longer than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(30);
