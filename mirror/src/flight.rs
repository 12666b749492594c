//! One transfer from an upstream for all that want the blob.
//!
//! The first request for a blob that is not kept makes a flight; those that come while it is under way board it. The carrier
//! (`carrier.rs`) writes what arrives into a file and never waits for a client; every client reads that file at its own pace
//! (`reader.rs`). Nobody boards for a repository whose registry has not said that it has the blob.
//!
//! INVARIANT(last-byte): the last byte of every answer, whole or in part, is held back until the digest of the whole blob is known
//! to be right. If it is not, all connections break off, so that no client takes a wrong blob for whole.

mod carrier;
mod passage;
mod reader;
mod transfer;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ramgate_policy::{Digest, Permit, Policy, Repository};
use ramgate_provenance::Verifier;
use tokio::sync::watch;

use crate::answer::Unserved;
use crate::mirror::Mirror;
use crate::store::Content;

use carrier::Carrier;
pub(crate) use reader::Reader;
pub(crate) use transfer::length;

/// All flights under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    under_way: Mutex<HashMap<Digest, Arc<Flight>>>,
}

/// The transfer of one blob.
#[derive(Debug)]
pub(crate) struct Flight {
    digest: Digest,
    /// The repository whose registry it comes from.
    leader: Repository,
    /// The repositories whose registries have said that they have it.
    confirmed: Mutex<BTreeSet<Repository>>,
    progress: watch::Sender<Progress>,
}

/// How far a flight has come.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// The upstream has not answered yet.
    Asking,
    /// The first `arrived` bytes of the content are there, not verified.
    Arriving { content: Content, arrived: u64 },
    /// All is there and verified.
    Whole(Content),
    /// The disk takes no more. What has arrived can be read; the rest each client gets for itself.
    Adrift {
        content: Option<Content>,
        arrived: u64,
        size: u64,
        verifier: Box<Verifier>,
    },
    /// The upstream does not give it.
    Refused(Arc<Unserved>),
    /// The upstream broke off for good, or sent something else.
    Broken,
}

/// Why a stream breaks off. The client sees only that it does.
#[derive(Debug, thiserror::Error)]
#[error("the blob is not what its digest says, or its upstream broke off")]
pub(crate) struct BrokenOff;

// === impl Flights ===

impl Flights {
    /// The flight of this blob that is under way, if there is one.
    pub(crate) fn find(&self, digest: &Digest) -> Option<Arc<Flight>> {
        self.lock().get(digest).cloned()
    }

    fn land(&self, flight: &Flight) {
        self.lock().remove(&flight.digest);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Flight>>> {
        // Each change is one step, so the map is right whatever became of who held it.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Flight ===

impl Flight {
    fn new(digest: &Digest, leader: &Repository) -> Self {
        Self {
            digest: digest.clone(),
            leader: leader.clone(),
            confirmed: Mutex::default(),
            progress: watch::Sender::new(Progress::Asking),
        }
    }

    pub(crate) const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether it comes from this repository.
    pub(crate) fn is_led_by(&self, repository: &Repository) -> bool {
        self.leader == *repository
    }

    /// Whether the repository is known to have the blob, or will be when the flight has begun.
    pub(crate) fn serves(&self, repository: &Repository) -> bool {
        self.is_led_by(repository) || self.confirmed().contains(repository)
    }

    /// Notes that the repository's registry has the blob too.
    pub(crate) fn confirm(&self, repository: &Repository) {
        self.confirmed().insert(repository.clone());
    }

    /// Waits until the upstream has answered: the size of the blob, or why there is none.
    pub(crate) async fn begun(&self) -> Result<u64, Arc<Unserved>> {
        let mut changes = self.progress.subscribe();
        loop {
            match &*changes.borrow_and_update() {
                Progress::Asking => {}
                Progress::Arriving { content, .. } | Progress::Whole(content) => {
                    return Ok(content.size());
                }
                Progress::Adrift { size, .. } => return Ok(*size),
                Progress::Refused(problem) => return Err(Arc::clone(problem)),
                Progress::Broken => return Err(Arc::new(Unserved::Mismatch)),
            }
            if changes.changed().await.is_err() {
                return Err(Arc::new(Unserved::Mismatch));
            }
        }
    }

    /// Waits until it is known whether an empty blob should be empty.
    pub(crate) async fn is_rightly_empty(&self) -> bool {
        let mut changes = self.progress.subscribe();
        loop {
            match &mut changes.borrow_and_update().clone() {
                Progress::Asking | Progress::Arriving { .. } => {}
                Progress::Whole(content) => return content.size() == 0,
                Progress::Adrift { verifier, size, .. } => {
                    return *size == 0 && verifier.verify().is_some();
                }
                Progress::Refused(_) | Progress::Broken => return false,
            }
            if changes.changed().await.is_err() {
                return false;
            }
        }
    }

    fn confirmed(&self) -> MutexGuard<'_, BTreeSet<Repository>> {
        self.confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Mirror ===

impl Mirror {
    /// Boards the flight of this blob, or starts one for the permitted repository.
    pub(crate) fn board(
        &self,
        permit: &Permit,
        policy: &Arc<Policy>,
        digest: &Digest,
    ) -> Arc<Flight> {
        let mut under_way = self.flights().lock();
        if let Some(flight) = under_way.get(digest) {
            return Arc::clone(flight);
        }
        let flight = Arc::new(Flight::new(digest, permit.repository()));
        under_way.insert(digest.clone(), Arc::clone(&flight));
        let carrier = Carrier {
            mirror: self.clone(),
            permit: permit.clone(),
            policy: Arc::clone(policy),
            flight: Arc::clone(&flight),
        };
        // On its own, so that a client that leaves does not stop what the next one will want.
        tokio::spawn(carrier.run());
        flight
    }
}
