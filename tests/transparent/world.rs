//! A lab with a container's namespace, a part of the Internet, and ramgate between them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{Command, EngineKind, Lab, LabOptions, Output, Upstream};
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) lab: Lab,
}

// === impl World ===

impl World {
    pub(crate) fn new() -> Result<Self> {
        let lab = Lab::start(EngineKind::Docker20_10, &LabOptions::default())?;
        lab.install_nft()?;
        lab.write_file("/etc/hosts", HOSTS)?;
        lab.command("bash")
            .args(["-c", include_str!("world.sh")])
            .run()?
            .expect_success()?;
        lab.install_ramgate(
            Path::new(env!("CARGO_BIN_EXE_ramgate")),
            &policy("pass"),
            &settings(false),
        )?;
        lab.start_ramgate()?;
        let world = Self { lab };
        world.trust(&world.lab.read_file(Lab::CA_FILE)?)?;
        Ok(world)
    }

    /// What the container's clients trust.
    pub(crate) fn trust(&self, certificates: &str) -> Result<()> {
        self.lab.write_file(TRUST, certificates)
    }

    /// Puts a policy in force.
    pub(crate) fn policy(&self, policy: &Value) -> Result<()> {
        let in_force = || self.lab.ramgate_log().matches("policy in force").count();
        let before = in_force();
        self.lab.write_policy(policy)?;
        self.lab.signal_ramgate("HUP")?;
        for _ in 0..500 {
            if in_force() > before {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        anyhow::bail!("the policy does not come in force")
    }

    /// A command in the container.
    pub(crate) fn inside(&self, program: &str) -> Command {
        self.lab
            .command("ip")
            .args(["netns", "exec", "box", program])
            .timeout(std::time::Duration::from_secs(30))
    }

    /// curl in the container.
    pub(crate) fn curl(&self, arguments: &[&str]) -> Result<Output> {
        self.inside("curl").args(CURL).args(arguments).run()
    }

    /// An image pulled in the container, by its name.
    pub(crate) fn skopeo(&self, image: &str) -> Result<Output> {
        self.inside("chroot")
            .args(["/guest/pullers", "skopeo", "--insecure-policy", "copy"])
            .args([&format!("docker://{image}"), "dir:/tmp/image"])
            .env("SSL_CERT_FILE", TRUST)
            .run()
    }

    /// Bytes sent from the container, which then waits, and what came back, in hexadecimal.
    pub(crate) fn send(&self, address: &str, port: &str, bytes: &[u8]) -> Result<String> {
        self.lab.write_file("/tmp/sent", bytes)?;
        let script = format!(
            "{{ cat /tmp/sent; sleep 1; }} | busybox nc -w 5 {address} {port} | od -An -v -tx1"
        );
        let output = self.inside("bash").args(["-c", &script]).run()?;
        Ok(output.stdout.split_whitespace().collect())
    }

    pub(crate) fn ramgate(&self, arguments: &[&str]) -> Result<Output> {
        self.lab.run("/usr/local/bin/ramgate", arguments)
    }

    pub(crate) fn nft(&self, arguments: &[&str]) -> Result<Output> {
        self.ramgate(&[&["egress", "nft"], arguments].concat())
    }

    /// Nothing counted yet.
    pub(crate) fn begin(&self) {
        self.lab.upstreams().into_iter().for_each(Upstream::forget);
    }

    /// `upstream` has seen no connection.
    pub(crate) fn untouched(&self, upstream: &Upstream) -> Result<()> {
        ensure!(
            upstream.connections() == 0,
            "{} was reached: {:?}",
            upstream.host(),
            upstream.requests()
        );
        Ok(())
    }

    /// Datagrams to port 443 that arrived out there.
    pub(crate) fn datagrams(&self) -> Result<u64> {
        let list = ["netns", "exec", "upstream", "nft", "list", "chain", "ip"];
        let list = self.lab.command("ip").args(list).args(["internet", "seen"]);
        let chain = list.run()?.expect_success()?.stdout;
        let count = chain.split("packets ").nth(1).context("no counter")?;
        Ok(count.split(' ').next().unwrap_or_default().parse()?)
    }
}

pub(crate) fn policy(containers: &str) -> Value {
    json!({
        "version": 1,
        "registries": [
            { "host": "docker.io" },
            { "host": "ghcr.io", "repositories": ["acme/**"], "actions": ["pull"] },
        ],
        "docker-hub": { "official": "allow" },
        "egress": { "hosts": ["files.example"], "containers": containers },
    })
}

pub(crate) fn settings(inspect: bool) -> Value {
    let mut settings = Lab::settings();
    if let Some(settings) = settings.as_object_mut() {
        settings.insert("plugin".to_owned(), json!({ "enabled": false }));
        let egress = json!({ "inspect": inspect, "transparent": {} });
        settings.insert("egress".to_owned(), egress);
    }
    settings
}

pub(crate) const CURL: [&str; 6] = [
    "--silent",
    "--show-error",
    "--max-time",
    "15",
    "--cacert",
    TRUST,
];
pub(crate) const TRUST: &str = "/tmp/trusted.pem";
/// `alias.example` is somebody's own name for Docker Hub's address, `inner.example` one for a private address.
const HOSTS: &str = "127.0.0.1 localhost lab
203.0.113.10 registry-1.docker.io index.docker.io auth.docker.io docker.io alias.example
203.0.113.11 ghcr.io
203.0.113.12 denied.example
203.0.113.13 files.example
10.231.0.12 inner.example
";
