//! `ramgate egress probe`: which hosts a registry redirects to.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use clap::Args;
use ramgate_mirror::{Mirror, Place, Storage};
use ramgate_policy::{InvalidReference, Policy, Reference};
use ramgate_provenance::{Canaries, Ledger};
use serde_json::json;

use crate::cli::{CommandError, Outcome, say};
use crate::serve::mirror_config;
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// An image of the registry, as `registry.acme.example/team/app:1`.
    reference: String,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

// === impl Probe ===

impl Probe {
    pub(super) fn run(&self, settings: &Settings) -> Result<Outcome, CommandError> {
        let reference = self.image()?;
        // A place of its own, so that nothing is answered from a cache, nor noted.
        let place = std::env::temp_dir().join(format!("ramgate-probe-{}", std::process::id()));
        std::fs::create_dir(&place)?;
        let hosts = learn(settings, &reference, &place);
        // What is left over is in the directory for that.
        let _ = std::fs::remove_dir_all(&place);
        let hosts = hosts.map_err(CommandError::Failed)?;
        if self.json {
            say(json!({ "redirect-hosts": hosts }))?;
        } else if hosts.is_empty() {
            say("no hosts beside the registry's own and those that are built in")?;
        } else {
            say(format_args!("\"redirect-hosts\": {}", json!(hosts)))?;
        }
        Ok(Outcome::Done)
    }
}

impl Probe {
    /// The image, which has its registry before it as a person means it.
    fn image(&self) -> Result<Reference, CommandError> {
        let text = self.reference.as_str();
        let wrong = |why: &str| CommandError::Usage(format!("`{text}`: {why}"));
        if let Some((_, bare)) = text.split_once("://") {
            return Err(wrong(&format!("without the scheme, as `{bare}`")));
        }
        // `registry.acme.example` would be an image of Docker Hub's.
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let is_port = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        if !text.contains(['/', '@']) && name.contains('.') && (rest.is_empty() || is_port) {
            return Err(wrong(&format!(
                "a registry; name an image of it, as `{text}/team/app:1`"
            )));
        }
        text.parse()
            .map_err(|error: InvalidReference| wrong(&error.to_string()))
    }
}

fn learn(settings: &Settings, reference: &Reference, place: &Path) -> anyhow::Result<Vec<String>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let part = settings
        .mirror
        .as_ref()
        .context("mirror.enabled is false, and it is the mirror that fetches")?;
    let config = ramgate_mirror::Config {
        storage: Storage {
            place: Place::Directory(place.join("mirror")),
            max_size_bytes: None,
            pins: Vec::new(),
        },
        ..mirror_config(part, Canaries::default())?
    };
    let ledger = Ledger::open(&place.join("ledger.redb"))?.ledger;
    let policy = Policy::parse(r#"{ "version": 1 }"#).map_err(anyhow::Error::new)?;
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let mirror = Mirror::new(config, policy, Arc::new(ledger))?;
    let probed = runtime.block_on(mirror.probe(reference));
    probed.with_context(|| reference.to_string())
}
