//! `ramgate mirror export`: images to carry to where there is no network.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::super::{CommandError, Outcome, say};
use super::{Images, Tally, bytes};
use crate::images::{ClientError, Descriptor, Folder, MirrorClient, Plan, Progress, pack};
use crate::settings::Settings;

/// Write images into an OCI image layout, through the running mirror.
///
/// The mirror fetches what it does not have. Only what the policy allows is written. Run again, it goes on where it was broken off,
/// and adds to what is there.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    images: Images,
    /// A folder, or a file that ends in `.tar`.
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
}

// === impl Export ===

impl Export {
    pub(super) async fn run(&self, settings: &Settings) -> Result<Outcome, CommandError> {
        let (references, platforms) = self.images.read()?;
        let client =
            MirrorClient::new(settings).map_err(|error| CommandError::Usage(error.to_string()))?;
        let archive = self
            .to
            .extension()
            .is_some_and(|extension| extension == "tar");
        let place = if archive {
            self.to.with_extension("tar.d")
        } else {
            self.to.clone()
        };
        let folder = Folder::open(&place).map_err(CommandError::Failed)?;
        let (mut tally, mut images) = (Tally::default(), Vec::new());
        let progress = Progress::new(false);
        for reference in &references {
            let made = Plan::make(&client, reference, &platforms).await;
            let written = match made {
                Ok(plan) => write(&client, &folder, &plan, &progress)
                    .await
                    .map(|root| (plan, root)),
                Err(error) => Err(error),
            };
            match written {
                Ok((plan, root)) => {
                    let size = bytes(plan.size());
                    say(format_args!(
                        "{}: {} blobs, {size}",
                        plan.name(),
                        plan.blobs.len()
                    ))?;
                    images.push((plan.name(), root));
                }
                Err(error) => tally.note(&reference.to_string(), error)?,
            }
        }
        folder.finish(&images).map_err(CommandError::Failed)?;
        // What is not whole stays a folder, to be gone on with.
        if archive && tally.failed == 0 && !images.is_empty() {
            finish(&place, &self.to).map_err(CommandError::Failed)?;
        }
        tally.outcome()
    }
}

/// Writes an image. Its manifests come last: where they are, all that they name is.
async fn write(
    client: &MirrorClient,
    folder: &Folder,
    plan: &Plan,
    progress: &Progress,
) -> Result<Descriptor, ClientError> {
    let failed =
        |what: &dyn std::fmt::Display, error: &dyn std::fmt::Display| ClientError::Failed {
            what: what.to_string(),
            text: error.to_string(),
        };
    for blob in &plan.blobs {
        let bar = progress.bar(&blob.digest, blob.size);
        if folder
            .has(blob)
            .map_err(|error| failed(&blob.digest, &error))?
        {
            bar.end("there already");
            continue;
        }
        let coming = client.blob(&plan.repository, &blob.digest).await?;
        let taken = folder.take(blob, coming.body, &bar).await;
        taken.map_err(|error| failed(&blob.digest, &format!("{error:#}")))?;
        bar.end("written");
    }
    for manifest in &plan.manifests {
        let kept = folder.keep(&manifest.digest, &manifest.bytes);
        kept.map_err(|error| failed(&manifest.digest, &error))?;
    }
    let root = plan.manifests.first();
    root.map(crate::images::Planned::descriptor)
        .ok_or_else(|| failed(&plan.name(), &"it has no manifest"))
}

fn finish(folder: &Path, archive: &Path) -> anyhow::Result<()> {
    pack(folder, archive).with_context(|| archive.display().to_string())?;
    std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())
}
