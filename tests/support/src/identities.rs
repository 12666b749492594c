//! Callers with an identity: an engine that listens on TCP for clients with certificates, and those clients.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::command::Command;
use crate::lab::Lab;

/// An authority for an engine on TCP and its clients, as a server's administrator has one.
#[derive(Debug)]
pub struct Identities {
    authority: Authority,
}

// === impl Identities ===

impl Identities {
    /// What `daemon.json` needs, beside the rest, for an engine that takes clients with certificates.
    pub fn engine() -> Value {
        json!({
            "hosts": ["unix:///run/docker.sock", ADDRESS],
            "tlsverify": true,
            "tlscacert": format!("{DIRECTORY}/ca.pem"),
            "tlscert": format!("{DIRECTORY}/engine/cert.pem"),
            "tlskey": format!("{DIRECTORY}/engine/key.pem"),
        })
    }

    /// Makes an authority, and of it the engine's certificate, in `lab`.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn new(lab: &Lab) -> Result<Self> {
        let authority = Authority::new()?;
        lab.write_file(&format!("{DIRECTORY}/ca.pem"), authority.pem())?;
        let identities = Self { authority };
        identities.write(lab, "engine", "engine")?;
        Ok(identities)
    }

    /// The docker CLI of a caller whose certificate has `name` as its common name.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn docker(&self, lab: &Lab, name: &str) -> Result<Command> {
        let directory: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
        let directory = format!("client-{directory}");
        self.write(lab, &directory, name)?;
        let file = |name: &str| format!("{DIRECTORY}/{directory}/{name}.pem");
        Ok(lab.command("docker").args([
            "--host",
            ADDRESS,
            "--tlsverify",
            "--tlscacert",
            &format!("{DIRECTORY}/ca.pem"),
            "--tlscert",
            &file("cert"),
            "--tlskey",
            &file("key"),
        ]))
    }

    fn write(&self, lab: &Lab, directory: &str, name: &str) -> Result<()> {
        let (certificate, key) = self
            .authority
            .identity(name, "127.0.0.1")
            .with_context(|| format!("making a certificate for `{name}`"))?;
        lab.write_file(&format!("{DIRECTORY}/{directory}/cert.pem"), certificate)?;
        lab.write_file(&format!("{DIRECTORY}/{directory}/key.pem"), key)
    }
}

const DIRECTORY: &str = "/etc/lab/identities";
const ADDRESS: &str = "tcp://127.0.0.1:2376";
