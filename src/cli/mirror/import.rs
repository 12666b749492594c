//! `ramgate mirror import`: images that were carried here.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use clap::Args;
use ramgate_mirror::Mirror;
use ramgate_policy::{Digest, Reference, Repository};
use ramgate_provenance::{Canaries, Ledger, LedgerError};

use super::super::{CommandError, Outcome, say};
use super::Tally;
use crate::images::{Descriptor, Intake, Layout, Planned, Refusal, contents};
use crate::live_policy;
use crate::serve::{control_path, ledger_path, mirror_config, mirror_names};
use crate::settings::Settings;

/// Take the images of an OCI image layout into the mirror's store.
///
/// Each is judged by the policy under the name that the layout has for it, verified, and from then on what that repository has: engines
/// get it from the mirror as if it had been fetched. Works beside a running ramgate and without one. Where the registries cannot be
/// reached for longer than `mirror.stale-if-error`, set that longer.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// A folder, or a tar archive.
    path: PathBuf,
    /// The name of the image, for a layout with one image that has no full name.
    #[arg(long = "as", value_name = "REFERENCE")]
    name: Option<String>,
}

/// How many things were taken in, and how many were there.
#[derive(Default)]
struct Taken {
    blobs: usize,
    there: usize,
    manifests: usize,
}

// === impl Import ===

impl Import {
    pub(super) async fn run(&self, settings: &Settings) -> Result<Outcome, CommandError> {
        let layout = Layout::open(&self.path).map_err(CommandError::Failed)?;
        let images = self.images(&layout)?;
        let intake = intake(settings).await?;
        let mut tally = Tally::default();
        for (reference, image) in images {
            let name = reference.to_string();
            match take(&intake, &layout, &reference, image).await {
                Ok(taken) => say(format_args!(
                    "{name}: {} manifests, {} blobs, {} there already",
                    taken.manifests, taken.blobs, taken.there
                ))?,
                Err(Refusal::Denied(text)) => tally.denied(&name, &text),
                Err(Refusal::Failed(error)) => tally.failed(&name, &format!("{error:#}")),
            }
        }
        tally.outcome()
    }

    /// The images and their names; all that is wrong with these at once.
    fn images(&self, layout: &Layout) -> Result<Vec<(Reference, Descriptor)>, CommandError> {
        let found = layout.images().map_err(CommandError::Failed)?;
        let alone = found.len() == 1;
        let (mut images, mut problems) = (Vec::new(), Vec::new());
        for (name, image) in found {
            let said = self.name.as_ref().filter(|_| alone).or(name.as_ref());
            // Without a registry in it the name may be a bare tag, which would be taken for Docker Hub's.
            let full = said.filter(|said| self.name.is_some() || said.contains('/'));
            match full.map(|full| (full, full.parse::<Reference>())) {
                Some((_, Ok(reference))) => images.push((reference, image)),
                Some((full, Err(error))) => problems.push(format!("`{full}`: {error}")),
                None => problems.push(format!(
                    "{} has no full name such as `docker.io/library/alpine:3`; give it one with `--as`, in a layout of its own",
                    image.digest
                )),
            }
        }
        if problems.is_empty() {
            Ok(images)
        } else {
            Err(CommandError::Usage(problems.join("\n")))
        }
    }
}

/// A running ramgate has ledger and store open; without one they are opened here.
async fn intake(settings: &Settings) -> Result<Intake, CommandError> {
    let Some(part) = &settings.mirror else {
        let text = "the mirror is switched off: `mirror.enabled` is false in the settings";
        return Err(CommandError::Usage(text.to_owned()));
    };
    let socket = control_path(settings);
    if tokio::net::UnixStream::connect(&socket).await.is_ok() {
        return Ok(Intake::Running(socket));
    }
    let policy = live_policy::load(&settings.policy_path)?.with_mirrors(mirror_names(settings));
    let opened = match Ledger::open(&ledger_path(settings)) {
        // It started in between.
        Err(LedgerError::InUse) => return Ok(Intake::Running(socket)),
        opened => opened.context("state-dir").map_err(CommandError::Failed)?,
    };
    let config = mirror_config(part, Canaries::default()).map_err(CommandError::Failed)?;
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let mirror = Mirror::new(config, policy, Arc::new(opened.ledger))
        .context("mirror")
        .map_err(CommandError::Failed)?;
    Ok(Intake::Here(Box::new(mirror)))
}

/// Takes in an image: what its manifests name goes before them, so that none is there without its content.
async fn take(
    intake: &Intake,
    layout: &Layout,
    reference: &Reference,
    image: Descriptor,
) -> Result<Taken, Refusal> {
    let repository = reference
        .repository()
        .map_err(|error| Refusal::Failed(error.into()))?;
    let root = image.digest.clone();
    let (mut taken, mut manifests, mut next) = (Taken::default(), Vec::new(), vec![image]);
    while let Some(descriptor) = next.pop() {
        let Some(bytes) = layout.manifest(&descriptor.digest)? else {
            // That of a platform that was not carried along.
            if descriptor.digest == root {
                return Err(missing(&root));
            }
            continue;
        };
        let (blobs, children) = contents(&bytes)
            .ok_or_else(|| anyhow::anyhow!("the manifest {} cannot be read", descriptor.digest))?;
        for blob in blobs {
            take_blob(intake, layout, &repository, &blob.digest, &mut taken).await?;
        }
        if manifests.len() + next.len() > MANIFESTS_MAX {
            return Err(anyhow::anyhow!("it has more than {MANIFESTS_MAX} manifests").into());
        }
        next.extend(children);
        manifests.push(Planned {
            media_type: descriptor.media_type,
            digest: descriptor.digest,
            bytes: bytes.into(),
        });
    }
    for manifest in manifests.iter().rev() {
        let tag = reference.tag().unwrap_or("latest");
        let tagged = manifest.digest == root && reference.digest().is_none();
        intake
            .manifest(&repository, manifest, tagged.then_some(tag))
            .await?;
        taken.manifests += 1;
    }
    Ok(taken)
}

async fn take_blob(
    intake: &Intake,
    layout: &Layout,
    repository: &Repository,
    digest: &Digest,
    taken: &mut Taken,
) -> Result<(), Refusal> {
    if intake.has(repository, digest).await? {
        taken.there += 1;
        return Ok(());
    }
    let (file, size) = layout.blob(digest)?.ok_or_else(|| missing(digest))?;
    intake.blob(repository, digest, file, size).await?;
    taken.blobs += 1;
    Ok(())
}

fn missing(digest: &Digest) -> Refusal {
    anyhow::anyhow!("the layout does not have {digest}").into()
}

/// More than any image has platforms.
const MANIFESTS_MAX: usize = 1_000;
