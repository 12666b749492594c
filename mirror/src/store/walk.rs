//! Looks at all that is kept. Never on the way of a request.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::TryStreamExt as _;
use rustix::fs::OFlags;

use super::bucket::{Bucket, failed};
use super::content::Content;
use super::disk::{Disk, found};

/// Something that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) modified: SystemTime,
}

// === impl Disk ===

impl Disk {
    /// What vanishes meanwhile is not there.
    pub(crate) fn walk(&self, folder: &str, each: &mut dyn FnMut(Entry)) -> io::Result<()> {
        walk(&self.path(folder), folder, each)
    }

    /// Opens content for reading in such a way that it does not count as asked for.
    pub(super) fn inspect(&self, name: &str) -> io::Result<Option<Content>> {
        let path = self.path(name);
        let quietly = File::options()
            .read(true)
            .custom_flags(OFlags::NOATIME.bits().cast_signed())
            .open(&path);
        let file = match found(quietly) {
            // Somebody else's directory.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found(File::open(&path))?
            }
            file => file?,
        };
        let Some(file) = file else {
            return Ok(None);
        };
        let size = file.metadata()?.len();
        Ok(Some(Content::file(Arc::new(file), size, Arc::default())))
    }
}

fn walk(path: &Path, name: &str, each: &mut dyn FnMut(Entry)) -> io::Result<()> {
    let Some(entries) = found(std::fs::read_dir(path))? else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let Ok(file_name) = entry.file_name().into_string() else {
            continue;
        };
        let name = format!("{name}/{file_name}");
        let Some(metadata) = found(entry.metadata())? else {
            continue;
        };
        if metadata.is_dir() {
            walk(&entry.path(), &name, each)?;
        } else {
            each(Entry::new(name, &metadata)?);
        }
    }
    Ok(())
}

// === impl Entry ===

impl Entry {
    fn new(name: String, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            name,
            size_bytes: metadata.len(),
            modified: metadata.modified()?,
        })
    }
}

// === impl Bucket ===

impl Bucket {
    pub(super) async fn walk(
        &self,
        folder: &str,
        each: &mut (dyn FnMut(Entry) + Send),
    ) -> io::Result<()> {
        let start = self.path("").as_ref().len();
        let mut list = self.store().list(Some(&self.path(folder)));
        while let Some(meta) = list.try_next().await.map_err(failed)? {
            let name = meta.location.as_ref().get(start..).unwrap_or_default();
            each(Entry {
                name: name.trim_start_matches('/').to_owned(),
                size_bytes: meta.size,
                modified: meta.last_modified.into(),
            });
        }
        Ok(())
    }
}
