//! Packs a layout's folder into a tar archive.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Packs `folder` into `archive`, which is there whole or not at all. The same folder makes the same archive.
pub(crate) fn pack(folder: &Path, archive: &Path) -> io::Result<()> {
    let partial = archive.with_extension("tar.partial");
    let mut builder = tar::Builder::new(BufWriter::new(File::create(&partial)?));
    for name in files(folder)? {
        let file = File::open(folder.join(&name))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        builder.append_data(&mut header, &name, file)?;
    }
    let mut writer = builder.into_inner()?;
    writer.flush()?;
    writer.get_ref().sync_all()?;
    fs::rename(&partial, archive)
}

/// The files below a folder, by their names in it.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut next) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(below) = next.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let name = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                next.push(name);
            } else if name
                .extension()
                .is_none_or(|extension| extension != "partial")
            {
                files.push(name);
            }
        }
    }
    files.sort();
    Ok(files)
}
