//! Which images containers have mounted.
//!
//! The engine settles that when it makes a container, and afterwards shows the name alone that it was asked for. What it also shows is
//! the path of the mount, which belongs to that image in that container, and goes along where another takes over its mounts.

use std::collections::BTreeSet;

use ramgate_policy::Digest;
use redb::{ReadableDatabase as _, ReadableTable as _};

use super::{Ledger, LedgerError, MOUNTS, store};

/// An image that a container has mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The ID of the container that it was mounted for.
    pub container: String,
    /// The ID of the image.
    pub image: Digest,
}

// === impl Ledger ===

impl Ledger {
    /// Notes what is mounted at this path of the engine's.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be written.
    pub fn note_mount(&self, path: &str, mount: &Mount) -> Result<(), LedgerError> {
        let transaction = self.database.begin_write().map_err(store)?;
        {
            let mut mounts = transaction.open_table(MOUNTS).map_err(store)?;
            let value = (mount.container.as_str(), mount.image.as_str());
            mounts.insert(path, value).map_err(store)?;
        }
        transaction.commit().map_err(store)
    }

    /// What is mounted at this path of the engine's; `None` if that was not seen.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn mount(&self, path: &str) -> Result<Option<Mount>, LedgerError> {
        let transaction = self.database.begin_read().map_err(store)?;
        let mounts = transaction.open_table(MOUNTS).map_err(store)?;
        let value = mounts.get(path).map_err(store)?;
        Ok(value.and_then(|value| Mount::read(value.value())))
    }

    /// The images that are mounted anywhere.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn mounted_images(&self) -> Result<BTreeSet<Digest>, LedgerError> {
        let transaction = self.database.begin_read().map_err(store)?;
        let mounts = transaction.open_table(MOUNTS).map_err(store)?;
        let mut images = BTreeSet::new();
        for entry in mounts.iter().map_err(store)? {
            let (_, value) = entry.map_err(store)?;
            images.extend(Mount::read(value.value()).map(|mount| mount.image));
        }
        Ok(images)
    }

    /// Forgets what is mounted in containers that are `gone`. How many mounts that were.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read or written.
    pub fn forget_mounts(&self, gone: impl Fn(&str) -> bool) -> Result<usize, LedgerError> {
        let mut paths = Vec::new();
        {
            let transaction = self.database.begin_read().map_err(store)?;
            let mounts = transaction.open_table(MOUNTS).map_err(store)?;
            for entry in mounts.iter().map_err(store)? {
                let (path, value) = entry.map_err(store)?;
                if gone(value.value().0) {
                    paths.push(path.value().to_owned());
                }
            }
        }
        // Most containers have none, and each that goes is asked for.
        if paths.is_empty() {
            return Ok(0);
        }
        let transaction = self.database.begin_write().map_err(store)?;
        {
            let mut mounts = transaction.open_table(MOUNTS).map_err(store)?;
            for path in &paths {
                mounts.remove(path.as_str()).map_err(store)?;
            }
        }
        transaction.commit().map_err(store)?;
        Ok(paths.len())
    }
}

// === impl Mount ===

impl Mount {
    fn read((container, image): (&str, &str)) -> Option<Self> {
        Some(Self {
            container: container.to_owned(),
            image: image.parse().ok()?,
        })
    }
}
