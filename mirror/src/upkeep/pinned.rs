//! The content that pins keep from eviction.

use std::collections::HashSet;
use std::io;

use ramgate_policy::Digest;
use serde::Deserialize;

use crate::pin::Pin;
use crate::store::names::{self, Note, REPOSITORIES};
use crate::store::{Disk, TagRecord};

/// The part of a manifest or index that says what belongs to it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Outline {
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
    manifests: Vec<Descriptor>,
    blobs: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Option<Digest>,
}

/// The content that `pins` name. Waits for the disk; looks at the repositories of the registries only if there are pins.
pub(super) fn pinned(disk: &Disk, pins: &[Pin]) -> io::Result<HashSet<Digest>> {
    let mut pinned = HashSet::new();
    if pins.is_empty() {
        return Ok(pinned);
    }
    let mut notes = Vec::new();
    disk.walk(REPOSITORIES, &mut |entry| {
        notes.extend(Note::parse(&entry.name).map(|note| (note, entry.name)));
    })?;
    for (note, name) in notes {
        for pin in pins.iter().filter(|pin| pin.covers(note.repository())) {
            match (&note, pin.tag()) {
                (Note::Link(_, _, digest), None) => {
                    pinned.insert(digest.clone());
                }
                (Note::Tag(_, tag), Some(wanted)) if tag == wanted => {
                    let record = std::fs::read(disk.path(&name)).unwrap_or_default();
                    let record = serde_json::from_slice::<TagRecord>(&record).ok();
                    if let Some(digest) = record.and_then(|record| record.digest()) {
                        image(disk, digest, &mut pinned);
                    }
                }
                (Note::Link(..) | Note::Tag(..), _) => {}
            }
        }
    }
    Ok(pinned)
}

/// A manifest and all that it leads to, as far as it is here.
fn image(disk: &Disk, digest: Digest, pinned: &mut HashSet<Digest>) {
    let mut open = vec![digest];
    while let Some(digest) = open.pop() {
        if pinned.contains(&digest) {
            continue;
        }
        let manifest = std::fs::read(disk.path(&names::content(&digest))).unwrap_or_default();
        pinned.insert(digest);
        let outline: Outline = serde_json::from_slice(&manifest).unwrap_or_default();
        let leaves = outline.config.into_iter().chain(outline.layers);
        pinned.extend(leaves.chain(outline.blobs).filter_map(|leaf| leaf.digest));
        open.extend(
            outline
                .manifests
                .into_iter()
                .filter_map(|child| child.digest),
        );
    }
}
