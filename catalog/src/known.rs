//! What a decision is made with, and what it turned out to want.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ramgate_policy::{Categories, Doubt, Standing};

use crate::catalog::Catalog;

/// What is known for one decision. Notes which namespaces were asked for and nobody has looked up yet.
pub(crate) struct Known<'a> {
    catalog: &'a Catalog,
    looked_up: &'a BTreeMap<String, Standing>,
    wanted: RefCell<BTreeSet<String>>,
}

// === impl Known ===

impl<'a> Known<'a> {
    pub(crate) const fn new(
        catalog: &'a Catalog,
        looked_up: &'a BTreeMap<String, Standing>,
    ) -> Self {
        Self {
            catalog,
            looked_up,
            wanted: RefCell::new(BTreeSet::new()),
        }
    }

    pub(crate) fn into_wanted(self) -> BTreeSet<String> {
        self.wanted.into_inner()
    }
}

impl Categories for Known<'_> {
    fn standing(&self, namespace: &str) -> Standing {
        if let Some(standing) = self.looked_up.get(namespace) {
            return *standing;
        }
        if let Some(category) = self.catalog.remembered(namespace) {
            return Standing::Is(category);
        }
        self.wanted.borrow_mut().insert(namespace.to_owned());
        Standing::Unknown(Doubt::NotAsked)
    }
}
