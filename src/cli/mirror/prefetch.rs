//! `ramgate mirror prefetch`: the cache, filled ahead.

use clap::Args;
use http_body_util::BodyExt as _;
use ramgate_policy::Repository;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::{CommandError, Outcome, say};
use super::{Images, Tally, bytes};
use crate::images::{ClientError, Descriptor, MirrorClient, Plan, Progress};
use crate::settings::Settings;

/// Have the running mirror fetch images, so that pulls find them there.
///
/// It goes through the mirror as an engine would, so policy, evidence and limits apply. What the mirror has is not fetched again: a
/// run that was broken off is gone on with by running it again.
#[derive(Debug, Args)]
pub(super) struct Prefetch {
    #[command(flatten)]
    images: Images,
    /// Say what would be fetched. Only manifests are.
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// What came of one blob.
struct Got {
    cached: bool,
    size: u64,
}

// === impl Prefetch ===

impl Prefetch {
    pub(super) async fn run(&self, settings: &Settings) -> Result<Outcome, CommandError> {
        let (references, platforms) = self.images.read()?;
        let client =
            MirrorClient::new(settings).map_err(|error| CommandError::Usage(error.to_string()))?;
        let progress = Progress::new(self.json);
        let (mut tally, mut answers) = (Tally::default(), Vec::new());
        for reference in &references {
            let name = reference.to_string();
            let plan = match Plan::make(&client, reference, &platforms).await {
                Ok(plan) => plan,
                Err(error) => {
                    tally.note(&name, error)?;
                    continue;
                }
            };
            let mut fetched = 0;
            if !self.dry_run {
                fetched = fetch(&client, &plan, &progress, &mut tally).await?;
            }
            if self.json {
                answers.push(self.answer(&plan, fetched));
            } else {
                self.tell(&plan, fetched)?;
            }
        }
        if self.json {
            let text = serde_json::to_string_pretty(&answers)
                .map_err(|error| CommandError::Failed(error.into()))?;
            say(text)?;
        }
        tally.outcome()
    }

    fn answer(&self, plan: &Plan, fetched: u64) -> Value {
        let root = plan.manifests.first().map(|manifest| &manifest.digest);
        json!({
            "image": plan.name(),
            "digest": root,
            "manifests": plan.manifests.len(),
            "blobs": plan.blobs,
            "size": plan.size(),
            "fetched": (!self.dry_run).then_some(fetched),
        })
    }

    fn tell(&self, plan: &Plan, fetched: u64) -> Result<(), CommandError> {
        let (name, blobs, size) = (plan.name(), plan.blobs.len(), bytes(plan.size()));
        if !self.dry_run {
            let fetched = bytes(fetched);
            return say(format_args!(
                "{name}: {blobs} blobs, {size}; fetched {fetched}"
            ));
        }
        say(format_args!("{name}: {blobs} blobs, {size}"))?;
        plan.blobs.iter().try_for_each(|blob| {
            let size = bytes(blob.size);
            say(format_args!(
                "  {} {size:>10}  {}",
                blob.digest, blob.media_type
            ))
        })
    }
}

/// Has the mirror fetch what it does not have, a few at a time. How much that was.
async fn fetch(
    client: &MirrorClient,
    plan: &Plan,
    progress: &Progress,
    tally: &mut Tally,
) -> Result<u64, CommandError> {
    let (mut tasks, mut waiting, mut fetched) = (JoinSet::new(), plan.blobs.iter(), 0);
    loop {
        while tasks.len() < AT_ONCE
            && let Some(blob) = waiting.next()
        {
            let (client, repository) = (client.clone(), plan.repository.clone());
            let (blob, progress) = (blob.clone(), progress.clone());
            tasks.spawn(async move { one(&client, &repository, &blob, &progress).await });
        }
        match tasks.join_next().await {
            None => return Ok(fetched),
            Some(Ok(Ok(got))) => fetched += if got.cached { 0 } else { got.size },
            Some(Ok(Err(error))) => tally.note(&plan.name(), error)?,
            Some(Err(error)) => return Err(CommandError::Failed(error.into())),
        }
    }
}

async fn one(
    client: &MirrorClient,
    repository: &Repository,
    blob: &Descriptor,
    progress: &Progress,
) -> Result<Got, ClientError> {
    let bar = progress.bar(&blob.digest, blob.size);
    let mut coming = client.blob(repository, &blob.digest).await?;
    if coming.cached {
        bar.end("there already");
        return Ok(Got {
            cached: true,
            size: blob.size,
        });
    }
    let mut size = 0;
    while let Some(frame) = coming.body.frame().await {
        // The mirror breaks off what is not what its digest says.
        let frame = frame.map_err(|error| ClientError::Failed {
            what: format!("{repository} {}", blob.digest),
            text: error.to_string(),
        })?;
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        size += length;
        bar.advance(length);
    }
    bar.end("fetched");
    Ok(Got {
        cached: false,
        size,
    })
}

/// As many as docker fetches at once.
const AT_ONCE: usize = 3;
