//! What `chattr` sets, which is not in every root.

use std::fs::File;

use anyhow::{Context as _, Result};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::lab::Lab;

// === impl Lab ===

impl Lab {
    /// Keeps a file inside from being changed, replaced and removed, by root too; or ends that.
    ///
    /// # Errors
    ///
    /// When the file is not there, or its file system knows no such thing.
    pub fn set_immutable(&self, path: &str, immutable: bool) -> Result<()> {
        let file = File::open(self.path(path)).with_context(|| format!("opening `{path}`"))?;
        let mut flags = ioctl_getflags(&file)?;
        flags.set(IFlags::IMMUTABLE, immutable);
        Ok(ioctl_setflags(&file, flags)?)
    }
}
