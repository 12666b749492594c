//! A policy and its drop-ins as one file, to be handed on.
//!
//! INVARIANT(no-wider): the one file allows nothing that the policy with its drop-ins denies. What they say together cannot always be
//! said in one file; then it is narrower and a note says where, or there is none.

mod hub;
mod overlap;
mod registries;

use thiserror::Error;

use super::drop_in::DropInFile;
use super::file::{Containers, PolicyFile, RegistryFile, WatchMode};
use crate::document::{Document, Findings};
use crate::registries::RegistryPattern;

/// A policy into which drop-ins were folded.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The policy as a file.
    pub file: PolicyFile,
    /// Where it is narrower than the policy with its drop-ins.
    pub notes: Vec<String>,
}

/// Why there is no one file.
#[derive(Debug, Error)]
pub enum FoldError {
    /// What was read is wrong.
    #[error(transparent)]
    Invalid(#[from] Findings),
    /// Two lists of registries cut across each other.
    #[error("{drop_in}: registries: {cut}, which no one list says; hand on the files as they are")]
    Registries {
        /// The drop-in.
        drop_in: String,
        /// Where, and how.
        cut: String,
    },
}

// === impl Folded ===

impl Folded {
    /// Reads a policy file that [`super::Policy::parse`] takes.
    ///
    /// # Errors
    /// What is wrong with its text.
    pub fn read(text: &str) -> Result<Self, FoldError> {
        let document = Document::<PolicyFile>::read(text)?;
        Ok(Self {
            file: document.value,
            notes: Vec::new(),
        })
    }

    /// Folds a drop-in in that [`super::Policy::tightened`] takes.
    ///
    /// # Errors
    /// What is wrong with its text, or that the two cannot be one.
    pub fn fold(&mut self, name: &str, text: &str) -> Result<(), FoldError> {
        let drop_in = Document::<DropInFile>::read(text)?.value;
        if let Some(theirs) = drop_in.registries {
            let both = match &self.file.registries {
                None => theirs,
                Some(ours) => {
                    registries::both(ours, &theirs).map_err(|cut| FoldError::Registries {
                        drop_in: name.to_owned(),
                        cut,
                    })?
                }
            };
            if self.file.egress.containers == Containers::Pass && self.forgets(&both) {
                self.file.egress.containers = Containers::Deny;
                self.notes.push(format!(
                    "{name}: egress.containers is deny: the policy lists registries that are left out, and what is no longer known for one would pass"
                ));
            }
            self.file.registries = Some(both);
        }
        if let Some(theirs) = &drop_in.docker_hub {
            let left_out = hub::fold(&mut self.file, theirs);
            self.notes
                .extend(left_out.into_iter().map(|note| format!("{name}: {note}")));
        }
        self.file.local_images.tighten(&drop_in.local_images);
        if drop_in.watch == Some(WatchMode::Stop) {
            self.file.watch = WatchMode::Stop;
        }
        self.file.subjects.require_identity |= drop_in.subjects.require_identity == Some(true);
        Ok(())
    }

    /// Whether the policy lists a registry that `registries` does not, and of which nobody would know any more that it is one.
    fn forgets(&self, registries: &[RegistryFile]) -> bool {
        let pattern = |entry: &RegistryFile| RegistryPattern::parse(&entry.host).ok();
        let kept: Vec<_> = registries.iter().filter_map(pattern).collect();
        let mut ours = self.file.registries.iter().flatten().filter_map(pattern);
        ours.any(|ours| !kept.iter().any(|kept| kept.covers(&ours)))
    }
}
