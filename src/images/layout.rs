//! OCI image layouts: a folder that is written, and a folder or tar archive that is read.
//!
//! Source: OCI image-spec `image-layout.md`. Nothing of an archive is unpacked: its files are read where they lie, by the names that
//! a layout has, so that no name in it leads anywhere.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use ramgate_policy::Digest;
use ramgate_provenance::{Verified, Verifier};
use serde_json::{Value, json};

use super::plan::Descriptor;
use super::progress::Bar;

/// The full name of an image in a layout, as `docker.io/library/alpine:3`.
pub(crate) type RefName = String;

/// A layout that is written, in a folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

/// A layout that is read.
#[derive(Debug)]
pub(crate) struct Layout {
    place: Place,
    index: Value,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    /// Where in the archive each file lies, and its size.
    Archive(PathBuf, HashMap<String, (u64, u64)>),
}

// === impl Folder ===

impl Folder {
    /// Opens the folder, and makes it if it is not there.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let make = || -> io::Result<()> {
            fs::create_dir_all(root.join("blobs/sha256"))?;
            write(&root.join(LAYOUT), VERSION.as_bytes())
        };
        make().with_context(|| root.display().to_string())?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Whether the content is here and whole.
    pub(crate) fn has(&self, blob: &Descriptor) -> io::Result<bool> {
        let mut file = match File::open(self.root.join(name_of(&blob.digest))) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() != blob.size {
            return Ok(false);
        }
        let (mut verifier, mut piece) = (Verifier::new(&blob.digest), vec![0; PIECE_BYTES]);
        loop {
            let read = file.read(&mut piece)?;
            match piece.get(..read) {
                Some(bytes) if read > 0 => verifier.update(bytes),
                Some(_) | None => return Ok(verifier.verify().is_some()),
            }
        }
    }

    /// Keeps a manifest, which was verified.
    pub(crate) fn keep(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        write(&self.root.join(name_of(digest)), bytes)
    }

    /// Keeps a blob while it comes. It has its name only once it is verified.
    pub(crate) async fn take(
        &self,
        blob: &Descriptor,
        mut body: Incoming,
        bar: &Bar,
    ) -> anyhow::Result<()> {
        let place = self.root.join(name_of(&blob.digest));
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        let partial = place.with_extension("partial");
        let mut file = File::create(&partial)?;
        let (mut verifier, mut size) = (Verifier::new(&blob.digest), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the mirror broke off")?;
            if let Some(piece) = frame.data_ref() {
                size += piece.len() as u64;
                ensure!(size <= blob.size, "it is larger than its manifest says");
                verifier.update(piece);
                file.write_all(piece)?;
                bar.advance(piece.len() as u64);
            }
        }
        if verifier.verify().is_none() {
            fs::remove_file(&partial)?;
            bail!("it is not what its digest says");
        }
        file.sync_all()?;
        Ok(fs::rename(&partial, &place)?)
    }

    /// Writes which images there are, beside those that were there already.
    pub(crate) fn finish(&self, images: &[(RefName, Descriptor)]) -> anyhow::Result<()> {
        let place = self.root.join(INDEX);
        let before: Option<Value> = fs::read(&place)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut manifests: Vec<Value> = before
            .as_ref()
            .map(|index| entries(index).cloned().collect())
            .unwrap_or_default();
        manifests.retain(|entry| {
            let name = annotation(entry, REF_NAME);
            !images.iter().any(|(new, _)| name == Some(new.as_str()))
        });
        for (name, image) in images {
            manifests.push(json!({
                "mediaType": image.media_type,
                "digest": image.digest,
                "size": image.size,
                "annotations": { REF_NAME: name },
            }));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests });
        write(&place, index.to_string().as_bytes()).with_context(|| place.display().to_string())
    }
}

// === impl Layout ===

impl Layout {
    /// Opens a folder or a tar archive.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let place = if path.is_dir() {
            Place::Folder(path.to_owned())
        } else {
            Place::Archive(path.to_owned(), files_of(path)?)
        };
        let read = |name: &str| -> anyhow::Result<Value> {
            let file = place.open(name)?;
            let (file, size) = file.with_context(|| {
                format!(
                    "{}: there is no `{name}`: this is no OCI image layout",
                    path.display()
                )
            })?;
            ensure!(
                size <= SMALL_MAX_BYTES,
                "{}: `{name}` is too large",
                path.display()
            );
            let mut text = String::new();
            file.take(size).read_to_string(&mut text)?;
            serde_json::from_str(&text).with_context(|| format!("{}: `{name}`", path.display()))
        };
        let version = read(LAYOUT)?;
        ensure!(
            version.get("imageLayoutVersion").and_then(Value::as_str) == Some("1.0.0"),
            "{}: its layout is not of version 1.0.0",
            path.display()
        );
        let index = read(INDEX)?;
        Ok(Self { place, index })
    }

    /// The images, and their names as far as they have any.
    pub(crate) fn images(&self) -> anyhow::Result<Vec<(Option<RefName>, Descriptor)>> {
        let mut images = Vec::new();
        for entry in entries(&self.index) {
            // `ctr` and the docker CLI write the full name beside the tag that the spec asks for.
            let name = annotation(entry, CONTAINERD_NAME).or_else(|| annotation(entry, REF_NAME));
            let image = serde_json::from_value(entry.clone())
                .context("`index.json`: an entry is no descriptor")?;
            images.push((name.map(str::to_owned), image));
        }
        Ok(images)
    }

    /// A manifest, verified; `None` if it is not here, as those of other platforms may not be.
    pub(crate) fn manifest(&self, digest: &Digest) -> anyhow::Result<Option<Vec<u8>>> {
        let Some((file, size)) = self.blob(digest)? else {
            return Ok(None);
        };
        ensure!(
            size <= SMALL_MAX_BYTES,
            "the manifest {digest} is larger than 4 MiB"
        );
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes)?;
        ensure!(
            Verified::of(&bytes, digest).is_some(),
            "the manifest {digest} is not what its digest says"
        );
        Ok(Some(bytes))
    }

    /// Content that is not verified: a file that stands at its first byte, and its size.
    pub(crate) fn blob(&self, digest: &Digest) -> anyhow::Result<Option<(File, u64)>> {
        self.place.open(&name_of(digest))
    }
}

// === impl Place ===

impl Place {
    fn open(&self, name: &str) -> anyhow::Result<Option<(File, u64)>> {
        match self {
            Self::Folder(root) => {
                let path = root.join(name);
                // A link would lead out of the layout.
                match fs::symlink_metadata(&path) {
                    Ok(seen) if seen.is_file() => {}
                    Ok(_) => bail!("{}: not a file", path.display()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
                let file = File::open(&path)?;
                let size = file.metadata()?.len();
                Ok(Some((file, size)))
            }
            Self::Archive(path, files) => {
                let Some((start, size)) = files.get(name) else {
                    return Ok(None);
                };
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*start))?;
                Ok(Some((file, *size)))
            }
        }
    }
}

/// Where the files of a tar archive lie. An archive that could be read in two ways, or that has anything but files and folders, is
/// refused: what it is for is not to be found out here.
fn files_of(path: &Path) -> anyhow::Result<HashMap<String, (u64, u64)>> {
    let context = || path.display().to_string();
    let mut archive = tar::Archive::new(File::open(path).with_context(context)?);
    let mut files = HashMap::new();
    for entry in archive.entries_with_seek().with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.path().with_context(context)?.into_owned();
        let plain = name
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        ensure!(
            plain,
            "{}: the name `{}` leads out of the archive",
            context(),
            name.display()
        );
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        ensure!(
            kind.is_file(),
            "{}: `{}` is neither file nor folder but {kind:?}",
            context(),
            name.display()
        );
        let parts = name.components();
        let name: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
        let name = name.display().to_string();
        let place = (entry.raw_file_position(), entry.size());
        ensure!(
            files.insert(name.clone(), place).is_none(),
            "{}: `{name}` stands twice in the archive",
            context()
        );
    }
    Ok(files)
}

/// What an index has.
fn entries(index: &Value) -> impl Iterator<Item = &Value> {
    let manifests = index.get("manifests").and_then(Value::as_array);
    manifests.into_iter().flatten()
}

fn annotation<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    entry.get("annotations")?.get(name)?.as_str()
}

/// Where a layout has content.
fn name_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.encoded())
}

/// Writes a file so that it is there whole or not at all.
fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let partial = place.with_extension("partial");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, place)
}

const LAYOUT: &str = "oci-layout";
const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "index.json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// As large as a manifest may be.
const SMALL_MAX_BYTES: u64 = 4 * 1024 * 1024;
const PIECE_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with these names; `None` for a link to somewhere else.
    fn archive(entries: &[(&str, Option<&str>)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(file.reopen().unwrap());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            // As a hostile archive has it: the library would refuse to write such a name.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(0o644);
            match content {
                Some(content) => {
                    header.set_size(content.len() as u64);
                    header.set_cksum();
                    builder.append(&header, content.as_bytes()).unwrap();
                }
                None => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_link_name("/etc/shadow").unwrap();
                    header.set_size(0);
                    header.set_cksum();
                    builder.append(&header, &[][..]).unwrap();
                }
            }
        }
        builder.finish().unwrap();
        file
    }

    #[test]
    fn an_archive_is_read_where_its_files_lie() {
        let content = "hello";
        let digest = Verified::by_sha256(content.as_bytes())
            .unwrap()
            .digest()
            .clone();
        let blob = name_of(&digest);
        let file = archive(&[
            ("./oci-layout", Some(VERSION)),
            (&blob, Some(content)),
            ("index.json", Some(r#"{"manifests":[]}"#)),
        ]);
        let layout = Layout::open(file.path()).unwrap();
        assert!(layout.images().unwrap().is_empty());
        assert_eq!(
            layout.manifest(&digest).unwrap().unwrap(),
            content.as_bytes()
        );
    }

    #[test]
    fn an_archive_that_leads_elsewhere_or_can_be_read_two_ways_is_refused() {
        for (entries, reason) in [
            (&[("../../etc/cron.d/evil", Some("x"))][..], "leads out"),
            (&[("/etc/cron.d/evil", Some("x"))], "leads out"),
            (&[("blobs/../../x", Some("x"))], "leads out"),
            (&[("oci-layout", None)], "neither file nor folder"),
            (&[("a", Some("x")), ("./a", Some("y"))], "stands twice"),
            (&[("a", Some("x"))], "no OCI image layout"),
        ] {
            let file = archive(entries);
            let error = Layout::open(file.path()).unwrap_err();
            assert!(
                format!("{error:#}").contains(reason),
                "{entries:?}: {error:#}"
            );
        }
    }

    #[test]
    fn a_folder_does_not_follow_links() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.json"), "{}").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("oci-layout")).unwrap();
        let error = Layout::open(folder.path()).unwrap_err();
        assert!(format!("{error:#}").contains("not a file"), "{error:#}");
    }
}
