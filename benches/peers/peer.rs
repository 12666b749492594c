//! The mirror's peers: Debian's docker-registry, and nginx with files.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::ramgate::free_address;
use crate::server::Server;

/// A running peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
}

// === impl Peer ===

impl Peer {
    /// Starts docker-registry on `storage`; as a pull-through cache if there is something to pull from.
    pub(crate) fn registry(
        program: &Path,
        storage: &Path,
        upstream: Option<SocketAddr>,
    ) -> Result<Self> {
        std::fs::create_dir_all(storage)?;
        let address = free_address()?;
        let mut config = json!({
            "version": 0.1,
            "log": { "level": "error", "accesslog": { "disabled": true } },
            "storage": {
                "filesystem": { "rootdirectory": storage },
                // What its packaged configuration has, and what makes it faster.
                "cache": { "blobdescriptor": "inmemory" },
            },
            "http": { "addr": address, "secret": "bench" },
        });
        if let (Some(upstream), Some(config)) = (upstream, config.as_object_mut()) {
            let remote = json!({ "remoteurl": format!("http://{upstream}") });
            config.insert("proxy".to_owned(), remote);
        }
        // JSON is YAML.
        let path = storage.with_extension("yml");
        std::fs::write(&path, config.to_string())?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg(path)
            .env("OTEL_TRACES_EXPORTER", "none");
        Self::start(command, address)
    }

    /// Starts nginx with the files of `files`.
    pub(crate) fn nginx(program: &Path, files: &Path, directory: &Path) -> Result<Self> {
        let address = free_address()?;
        let place = directory.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {place}/{what};\n"))
            .concat();
        let config = format!(
            "user root;\ndaemon off;\nworker_processes auto;\npid {place}/nginx.pid;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n{temporary}access_log off;\nsendfile on;\ntcp_nopush on;\nkeepalive_requests 10000000;\n\
             open_file_cache max=100;\ndefault_type application/octet-stream;\n\
             server {{ listen {address}; root {files}; }}\n}}\n",
            files = files.display()
        );
        let path = directory.join("nginx.conf");
        std::fs::write(&path, config)?;
        let mut command = Command::new(program);
        command.args(["-e", "/dev/null", "-c"]).arg(path);
        Self::start(command, address)
    }

    fn start(command: Command, address: SocketAddr) -> Result<Self> {
        let server = Server::start(command, || Ok(TcpStream::connect(address).is_ok()))?;
        Ok(Self { address, server })
    }
}

/// Debian's docker-registry, from the root of an engine.
pub(crate) fn registry_program() -> Option<PathBuf> {
    present(
        ramgate_lab::root("bookworm")
            .ok()?
            .join("usr/bin/docker-registry"),
    )
}

/// Debian's nginx, where `make bench` unpacks it.
pub(crate) fn nginx_program() -> Option<PathBuf> {
    present(
        ramgate_lab::cache()
            .ok()?
            .join("tools/nginx/usr/sbin/nginx"),
    )
}

/// Why something is not measured where [`registry_program`] finds none.
pub(crate) const NO_REGISTRY: &str =
    "there is no docker-registry; `make provision` puts one into the cache";

fn present(program: PathBuf) -> Option<PathBuf> {
    program.is_file().then_some(program)
}

/// What a program says of its version, as in `docker-registry 2.8.2`.
pub(crate) fn version(name: &str, program: &Path, argument: &str) -> String {
    version_of(name, Command::new(program).arg(argument))
}

/// The same, of what a command says.
pub(crate) fn version_of(name: &str, command: &mut Command) -> String {
    let output = command.output();
    let text = output
        .map(|output| [output.stdout, output.stderr].concat())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let number = text.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        word.contains('.').then_some(word)
    });
    format!("{name} {}", number.unwrap_or("of an unknown version"))
}
