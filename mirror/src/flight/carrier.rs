//! Carries a blob from its upstream into the store.

use std::sync::Arc;

use ramgate_policy::{Permit, Policy};
use ramgate_provenance::Verifier;
use reqwest::{Method, Response};

use super::transfer::{Transfer, length};
use super::{Flight, Progress};
use crate::answer::Unserved;
use crate::mirror::Mirror;
use crate::store::{Content, Incoming};
use crate::upstream::Resource;

/// Who carries a blob.
pub(super) struct Carrier {
    pub(super) mirror: Mirror,
    pub(super) permit: Permit,
    pub(super) policy: Arc<Policy>,
    pub(super) flight: Arc<Flight>,
}

/// What the upstream's answer comes to.
enum Answer {
    /// The bytes were here already, and it has them too.
    Kept(Content),
    Coming(Response, u64),
}

/// The end of a flight, whichever way: nobody boards it any more, and nobody waits for it in vain.
struct Landing<'a>(&'a Carrier);

// === impl Carrier ===

impl Carrier {
    pub(super) async fn run(self) {
        let _landing = Landing(&self);
        match self.ask().await {
            Ok(Answer::Kept(content)) => self.set(Progress::Whole(content)),
            Ok(Answer::Coming(response, size)) => self.carry(response, size).await,
            Err(problem) => self.set(Progress::Refused(Arc::new(problem))),
        }
    }

    async fn ask(&self) -> Result<Answer, Unserved> {
        let (store, digest) = (self.mirror.store(), &self.flight.digest);
        let fetch = async |method| {
            let upstreams = self.mirror.upstreams();
            upstreams
                .fetch(&self.permit, &self.policy, method, Resource::Blob(digest))
                .await
        };
        // The bytes may be here from another repository. That this one has them too, only its registry can say.
        if self.mirror.seen(store.has_content(digest).await) == Some(true) {
            fetch(Method::HEAD).await?;
            self.flight.confirm(self.permit.repository());
            self.mirror
                .noted(store.link_blob(&self.permit, digest).await);
            let kept = self.mirror.seen(store.blob(&self.permit, digest).await);
            if let Some(content) = kept.flatten() {
                return Ok(Answer::Kept(content));
            }
        }
        let response = fetch(Method::GET).await?;
        let size = length(&response)?;
        self.flight.confirm(self.permit.repository());
        Ok(Answer::Coming(response, size))
    }

    async fn carry(&self, response: Response, size: u64) {
        let digest = &self.flight.digest;
        let incoming = match self.mirror.store().begin(digest).await {
            Ok(incoming) => incoming,
            Err(error) => {
                tracing::error!(%error, %digest, "the store takes nothing in; blobs are passed through and not kept");
                return self.set(Progress::Adrift {
                    content: None,
                    arrived: 0,
                    size,
                    verifier: Box::new(Verifier::new(digest)),
                });
            }
        };
        let content = self.mirror.store().arriving(&incoming, size);
        self.set(Progress::Arriving {
            content: content.clone(),
            arrived: 0,
        });
        let transfer = Transfer::new(
            self.mirror.clone(),
            self.permit.clone(),
            Arc::clone(&self.policy),
            digest.clone(),
            size,
        );
        match self
            .receive(transfer.begun(response), incoming, &content)
            .await
        {
            Ok(Some(incoming)) => self.keep(incoming, content).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = %error, repository = %self.permit.repository(), %digest, "upstream failed");
                self.set(Progress::Broken);
            }
        }
    }

    /// Writes what arrives; `None` if the disk takes no more. While one batch is written the next one arrives.
    async fn receive(
        &self,
        mut transfer: Transfer,
        incoming: Incoming,
        content: &Content,
    ) -> Result<Option<Incoming>, Unserved> {
        let mut incoming = Some(incoming);
        let mut writing = None;
        loop {
            let batch = transfer.batch().await?;
            if let Some(task) = writing.take() {
                let (written, result) = written(task).await?;
                if let Err(error) = result {
                    self.drift(&written, content, &error);
                    return Ok(None);
                }
                incoming = Some(written);
            }
            if batch.is_empty() {
                return Ok(incoming);
            }
            let Some(mut taken) = incoming.take() else {
                return Ok(None);
            };
            let (flight, content) = (Arc::clone(&self.flight), content.clone());
            writing = Some(tokio::task::spawn_blocking(move || {
                let result = taken.write(&batch);
                let arrived = taken.size();
                flight
                    .progress
                    .send_replace(Progress::Arriving { content, arrived });
                (taken, result)
            }));
        }
    }

    fn drift(&self, incoming: &Incoming, content: &Content, error: &std::io::Error) {
        tracing::error!(%error, digest = %self.flight.digest, "the store takes no more; the blob is passed through and not kept");
        self.set(Progress::Adrift {
            content: Some(content.clone()),
            arrived: incoming.size(),
            size: content.size(),
            verifier: Box::new(incoming.verifier()),
        });
    }

    /// Clients get the end as soon as the digest is known to be right; that it is on disk they need not wait for.
    async fn keep(&self, mut incoming: Incoming, content: Content) {
        let digest = &self.flight.digest;
        let verified = (incoming.size() == content.size())
            .then(|| incoming.verify())
            .flatten();
        let Some(verified) = verified else {
            tracing::warn!(error = %Unserved::Mismatch, repository = %self.permit.repository(), %digest, "upstream failed");
            return self.set(Progress::Broken);
        };
        self.set(Progress::Whole(content));
        let store = self.mirror.store();
        if self.mirror.noted(store.keep(incoming, &verified).await) {
            self.mirror
                .noted(store.link_blob(&self.permit, digest).await);
        }
    }

    fn set(&self, progress: Progress) {
        self.flight.progress.send_replace(progress);
    }
}

type Written = (Incoming, std::io::Result<()>);

async fn written(task: tokio::task::JoinHandle<Written>) -> Result<Written, Unserved> {
    task.await
        .map_err(|error| Unserved::Store(std::io::Error::other(error)))
}

// === impl Landing ===

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let Carrier { mirror, flight, .. } = self.0;
        flight.progress.send_if_modified(|progress| {
            let ended = match progress {
                Progress::Asking | Progress::Arriving { .. } => false,
                Progress::Whole(_)
                | Progress::Adrift { .. }
                | Progress::Refused(_)
                | Progress::Broken => true,
            };
            if !ended {
                *progress = Progress::Broken;
            }
            !ended
        });
        mirror.flights().land(flight);
    }
}
