//! A lab, from the first mount to the last trace removed.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::authority::Authority;
use crate::command::{Command, ENVIRONMENT, Entrance, Output, Process, wait_until};
use crate::directory::{self, Directory, present};
use crate::engine::EngineKind;
use crate::image::Image;
use crate::name_server::{self, Names};
use crate::network::{Network, address};
use crate::overheard::Overheard;
use crate::registry::Registry;
use crate::token::Realm;
use crate::upstream::{Behind, Site, Upstream};

/// How a lab is to be.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// Whether the registries want tokens, as Docker Hub and ghcr.io do. They do unless told otherwise.
    pub tokens: bool,
    /// Whether the registries start with images. They do unless told otherwise; see [`Lab::IMAGES`].
    pub images: bool,
}

/// A Docker Engine with everything around it, in namespaces of its own. Dropping it ends and removes all of it.
#[derive(Debug)]
pub struct Lab {
    kind: EngineKind,
    pub(crate) engine: Mutex<Option<Process>>,
    pub(crate) engine_environment: Mutex<Vec<(String, String)>>,
    pub(crate) ramgate: Mutex<Option<Process>>,
    docker_hub: Upstream,
    ghcr: Upstream,
    denied_host: Upstream,
    files_host: Upstream,
    network: Network,
    runtime: Option<Runtime>,
    entrance: Entrance,
    life: Life,
    directory: Directory,
}

/// PID 1, which lives as long as its standard input is held.
#[derive(Debug)]
struct Life(Child);

// === impl LabOptions ===

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            tokens: true,
            images: true,
        }
    }
}

// === impl Lab ===

impl Lab {
    /// The images that the registries start with: registry, repository, tag. Each is `Image::busybox("REGISTRY/REPOSITORY:TAG")`.
    pub const IMAGES: [(&str, &str, &str); 7] = [
        ("docker.io", "library/alpine", "3"),
        ("docker.io", "library/other", "latest"),
        ("docker.io", "acme/app", "1"),
        ("docker.io", "evil/tool", "latest"),
        ("docker.io", "grafana/grafana", "1"),
        ("ghcr.io", "acme/app", "1"),
        ("ghcr.io", "other/thing", "1"),
    ];

    /// Inside of the lab, the certificate of the authority that its registries and hosts are known by.
    pub const CA_FILE: &str = "/etc/lab/ca.pem";

    /// The file that `files.example` and `denied.example` serve.
    pub const FILE: &str = "/hello.txt";

    /// Starts a lab with everything but the engine and ramgate.
    ///
    /// # Errors
    ///
    /// When not root, when `provision` has not been run, or when the kernel refuses.
    pub fn start(kind: EngineKind, options: &LabOptions) -> Result<Self> {
        let directory = Directory::new()?;
        let authority = Authority::new()?;
        lay_out(kind, &directory, &authority)?;
        let (life, entrance) = Life::start(kind, &directory)?;

        let network = Network::open(&entrance.path("/proc/1/ns/net"))?;
        let upstream = Network::open(&entrance.path("/run/netns/upstream"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let raise = |site: &Site, behind| {
            Upstream::start(site, behind, &upstream, &authority, runtime.handle())
        };
        let registry = |site: &Site, name| -> Result<Upstream> {
            let realm = site.realm.filter(|_| options.tokens);
            let registry = Registry::start(&entrance, name)?;
            raise(site, Behind::Registry { registry, realm })
        };
        let docker_hub = registry(&DOCKER_HUB, "docker-hub")?;
        let ghcr = registry(&GHCR, "ghcr")?;
        let denied_host = raise(&DENIED_HOST, Behind::files("hello from denied.example\n"))?;
        let files_host = raise(&FILES_HOST, Behind::files("hello from files.example\n"))?;

        let lab = Self {
            kind,
            engine: Mutex::default(),
            engine_environment: Mutex::default(),
            ramgate: Mutex::default(),
            docker_hub,
            ghcr,
            denied_host,
            files_host,
            network,
            runtime: Some(runtime),
            entrance,
            life,
            directory,
        };
        lab.configure_engine(&json!({}))?;
        if options.images {
            lab.push_images()?;
        }
        Ok(lab)
    }

    /// Which engine it has.
    pub fn kind(&self) -> EngineKind {
        self.kind
    }

    /// A name that no other lab on this machine has.
    pub fn name(&self) -> &str {
        self.directory.name()
    }

    /// What stands for Docker Hub: `registry-1.docker.io`, `index.docker.io`, `auth.docker.io` and `docker.io`.
    pub fn docker_hub(&self) -> &Upstream {
        &self.docker_hub
    }

    /// What stands for `ghcr.io`.
    pub fn ghcr(&self) -> &Upstream {
        &self.ghcr
    }

    /// What stands for `denied.example`: a host with files that no policy allows.
    pub fn denied_host(&self) -> &Upstream {
        &self.denied_host
    }

    /// What stands for `files.example`: a host with files that a policy may allow.
    pub fn files_host(&self) -> &Upstream {
        &self.files_host
    }

    /// All that stands for something out there.
    pub fn upstreams(&self) -> [&Upstream; 4] {
        [
            &self.docker_hub,
            &self.ghcr,
            &self.denied_host,
            &self.files_host,
        ]
    }

    /// A command to be run inside, next to the engine.
    pub fn command(&self, program: &str) -> Command {
        self.entrance.command(program)
    }

    /// A command to be run next to the engine from the root of another, as with another version of the docker CLI. That root
    /// is read-only; the home, `/run`, `/sys` and `/tmp` are the lab's.
    pub fn guest(&self, kind: EngineKind, program: &str) -> Command {
        self.command("chroot").args([&guest(kind.suite()), program])
    }

    /// A command of a client of registries that is no engine: `ctr`, `containerd`, `podman` or `skopeo`. As [`Self::guest`].
    pub fn puller(&self, program: &str) -> Command {
        self.command("chroot")
            .args([&guest(directory::PULLERS), program])
    }

    /// Runs a program inside, next to the engine.
    ///
    /// # Errors
    ///
    /// When it does not end within a minute. That it failed is in the output.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        self.command(program).args(args).run()
    }

    /// Runs curl inside: silent, but for errors.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn curl(&self, args: &[&str]) -> Result<Output> {
        self.command("curl")
            .args(["--silent", "--show-error", "--max-time", "20"])
            .args(args)
            .run()
    }

    /// Writes a file inside, in one step, and the directories it lies in.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_file(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        write(&self.path(path), content.as_ref()).with_context(|| format!("writing `{path}`"))
    }

    /// Reads a file inside.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is no text.
    pub fn read_file(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.path(path)).with_context(|| format!("reading `{path}`"))
    }

    /// Removes a file inside, if it is there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove_file(&self, path: &str) -> Result<()> {
        present(fs::remove_file(self.path(path))).with_context(|| format!("removing `{path}`"))?;
        Ok(())
    }

    /// Where the test's process finds the lab's `path`, sockets too. Absolute links in it would lead astray.
    pub fn path(&self, path: &str) -> PathBuf {
        self.entrance.path(path)
    }

    /// What the command spawned as `name` has printed, over all its runs.
    pub fn log(&self, name: &str) -> String {
        self.entrance.log(name)
    }

    /// What a person wants to see when a test fails: the last of the logs, and what reached the stand-ins.
    pub fn report(&self) -> String {
        let mut report = format!("==== lab {}, Docker {}\n", self.name(), self.kind);
        for (name, log) in [
            ("dockerd", self.engine_log()),
            ("ramgate", self.ramgate_log()),
        ] {
            let lines: Vec<&str> = log.lines().collect();
            let skipped = lines.len().saturating_sub(40);
            let _ = writeln!(report, "---- {name}: {} lines", lines.len());
            for line in lines.into_iter().skip(skipped) {
                let _ = writeln!(report, "{line}");
            }
        }
        for upstream in self.upstreams() {
            let (host, connections) = (upstream.host(), upstream.connections());
            let _ = writeln!(report, "---- {host}: {connections} connections");
            for request in upstream.requests() {
                let _ = writeln!(report, "{request}");
            }
        }
        report
    }

    /// From now on the names of what stands for Docker Hub are found by DNS alone, those of the others in `/etc/hosts` alone.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or when called twice.
    pub fn serve_docker_hubs_names_by_dns(&self) -> Result<()> {
        let IpAddr::V4(hub) = address(DOCKER_HUB.last) else {
            bail!("the lab's network has no IPv4")
        };
        let names: Names = DOCKER_HUB
            .names
            .iter()
            .map(|name| ((*name).to_owned(), [hub].into()))
            .collect();
        self.serve_names(names)?;
        self.write_file("/etc/hosts", hosts(&[GHCR, DENIED_HOST, FILES_HOST]))
    }

    /// From now on DNS gives `name` these addresses, one each time that it is asked, the last for ever.
    ///
    /// # Errors
    ///
    /// As [`Self::serve_docker_hubs_names_by_dns`]; one of the two may be called.
    pub fn serve_turning_name(&self, name: &str, addresses: &[Ipv4Addr]) -> Result<()> {
        let addresses = addresses.iter().copied().collect();
        self.serve_names([(name.to_owned(), addresses)].into())
    }

    /// Listens at `address` and counts who comes: next to the engine where that is loopback, else beside the stand-ins.
    ///
    /// # Errors
    ///
    /// When somebody listens there.
    pub fn overhear(&self, address: SocketAddr) -> Result<Overheard> {
        let runtime = self.runtime.as_ref().context("the lab is ending")?;
        let listener = if address.ip().is_loopback() {
            self.network.listen(address)?
        } else {
            Network::open(&self.path("/run/netns/upstream"))?.listen(address)?
        };
        Overheard::start(listener, runtime.handle())
    }

    fn serve_names(&self, names: Names) -> Result<()> {
        let server = address(DOCKER_HUB.last);
        let upstream = Network::open(&self.path("/run/netns/upstream"))?;
        let socket = upstream.receive(SocketAddr::new(server, DNS_PORT))?;
        socket.set_nonblocking(true)?;
        let runtime = self.runtime.as_ref().context("the lab is ending")?;
        let _inside = runtime.enter(); // tokio's sockets want one
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        runtime.spawn(name_server::serve(socket, names));
        self.write_file("/etc/resolv.conf", format!("nameserver {server}\n"))
    }

    /// Connects to an address as seen from next to the engine.
    ///
    /// # Errors
    ///
    /// When nobody takes the connection within a second.
    pub fn connect(&self, address: SocketAddr) -> Result<TcpStream> {
        self.network.connect(address, Duration::from_secs(1))
    }

    pub(crate) fn takes_connections(&self, address: SocketAddr) -> bool {
        self.connect(address).is_ok()
    }

    fn push_images(&self) -> Result<()> {
        for (registry, repository, tag) in Self::IMAGES {
            let image = Image::busybox(&format!("{registry}/{repository}:{tag}"))?;
            let upstream = match registry {
                "ghcr.io" => &self.ghcr,
                _ => &self.docker_hub,
            };
            upstream
                .push(repository, tag, &image)
                .with_context(|| format!("pushing {registry}/{repository}:{tag}"))?;
        }
        Ok(())
    }
}

impl Drop for Lab {
    #[expect(clippy::print_stderr, reason = "a failed test shows what its lab saw")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.report());
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        self.life.end();
        // What the test's process holds of those who are gone now: their zombies.
        lock(&self.engine).take();
        lock(&self.ramgate).take();
    }
}

// === impl Life ===

impl Life {
    /// Starts PID 1 and waits until it has made the lab's mounts and networks.
    fn start(kind: EngineKind, directory: &Directory) -> Result<(Self, Entrance)> {
        let logs = directory.path().join("log");
        let log = fs::File::create(logs.join("init.log"))?;
        let child = std::process::Command::new("unshare")
            .args([
                "--mount",
                "--propagation=private",
                "--net",
                "--ipc",
                "--uts",
            ])
            .args(["--pid", "--fork", "--kill-child"])
            .args(["bash", "-c", include_str!("init.sh"), "init"])
            .arg(directory.path())
            .arg(directory::root(kind.suite())?)
            .arg(addresses())
            .args(borrowed(kind)?)
            .env_clear()
            .envs(ENVIRONMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("running `unshare`")?;
        let mut life = Self(child);

        let stdout = life.0.stdout.take().context("PID 1 has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Ok(pid) = line.trim_end().parse() else {
            let log = fs::read_to_string(logs.join("init.log")).unwrap_or_default();
            bail!(
                "a lab's mounts and networks could not be made; that needs root, and a cache on a real file system:\n{log}"
            );
        };
        let entrance = Entrance::open(pid, logs)?;
        Ok((life, entrance))
    }

    fn end(&mut self) {
        drop(self.0.stdin.take());
        let left = wait_until("PID 1", Duration::from_secs(10), || {
            Ok(self.0.try_wait()?)
        });
        if left.is_err() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end();
    }
}

/// Makes the directories that PID 1 mounts, and the files that make a lab of a plain root.
fn lay_out(kind: EngineKind, directory: &Directory, authority: &Authority) -> Result<()> {
    for made in ["root", "work", "log", "data/docker", "data/containerd"] {
        fs::create_dir_all(directory.path().join(made))?;
    }
    let put = |path: &str, content: &str| write(&directory.upper().join(path), content.as_bytes());

    let bundle = "etc/ssl/certs/ca-certificates.crt";
    let public = fs::read_to_string(directory::root(kind.suite())?.join(bundle))?;
    put(bundle, &format!("{public}{}", authority.pem()))?;
    put(Lab::CA_FILE.trim_start_matches('/'), authority.pem())?;

    put("etc/hosts", &hosts(&SITES))?;
    put(
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    )?;
    put("etc/resolv.conf", "")?;
    Ok(())
}

/// `/etc/hosts` with these sites in it.
fn hosts(sites: &[Site]) -> String {
    let mut hosts = "127.0.0.1 localhost lab\n".to_owned();
    for site in sites {
        let _ = writeln!(hosts, "{} {}", address(site.last), site.names.join(" "));
    }
    hosts
}

/// The engine's address, then those of the stand-ins.
fn addresses() -> String {
    let mut addresses = address(1).to_string();
    for site in SITES {
        let _ = write!(addresses, " {}", address(site.last));
    }
    addresses
}

/// What a root lacks and another has, and every root as a guest, as `SOURCE:TARGET`.
fn borrowed(kind: EngineKind) -> Result<Vec<String>> {
    let mut binds = Vec::new();
    let mut borrow = |suite: &str, path: &str| -> Result<()> {
        if kind.suite() != suite {
            let source = directory::root(suite)?.join(path);
            binds.push(format!("{}:/{path}", source.display()));
        }
        Ok(())
    };
    borrow("bookworm", "usr/bin/docker-registry")?;
    if kind == EngineKind::Docker20_10 {
        borrow("trixie", "usr/libexec/docker/cli-plugins/docker-buildx")?;
    }
    if kind.suite() == "forky" {
        // What makes a terminal; there it is a package of its own.
        borrow("bookworm", "usr/bin/script")?;
    }
    for suite in directory::SUITES {
        let source = directory::root(suite)?;
        binds.push(format!("{}:{}", source.display(), guest(suite)));
    }
    Ok(binds)
}

/// Where the root of `suite` lies in every lab.
fn guest(suite: &str) -> String {
    format!("/guest/{suite}")
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, content)?;
    fs::rename(&new, path)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SITES: [Site; 4] = [DOCKER_HUB, GHCR, DENIED_HOST, FILES_HOST];
const DOCKER_HUB: Site = Site {
    last: 10,
    names: &[
        "registry-1.docker.io",
        "index.docker.io",
        "auth.docker.io",
        "docker.io",
    ],
    realm: Some(Realm {
        url: "https://auth.docker.io/token",
        service: "registry.docker.io",
    }),
};
const GHCR: Site = Site {
    last: 11,
    names: &["ghcr.io"],
    realm: Some(Realm {
        url: "https://ghcr.io/token",
        service: "ghcr.io",
    }),
};
const DENIED_HOST: Site = Site {
    last: 12,
    names: &["denied.example"],
    realm: None,
};
const FILES_HOST: Site = Site {
    last: 13,
    names: &["files.example", "direct.example", "read.example"],
    realm: None,
};
const DNS_PORT: u16 = 53;
