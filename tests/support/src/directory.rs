//! Where the lab keeps its files: the roots that `provision` made, and one directory for each running lab.
//!
//! A lab's directory is locked for as long as its owner lives. Whoever can lock one finds a dead lab, and removes it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

/// The directory of one running lab, and the locks on the roots it stands on and borrows from. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Directory {
    name: String,
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
    _root_locks: Vec<File>,
}

// === impl Directory ===

impl Directory {
    /// Makes a directory for a lab, after removing those of dead labs.
    pub(crate) fn new() -> Result<Self> {
        let labs = cache()?.join("labs");
        fs::create_dir_all(&labs).with_context(|| format!("making `{}`", labs.display()))?;
        let root_locks = SUITES.into_iter().map(lock_root).collect::<Result<_>>()?;

        // One lab at a time between making a lock file and locking it.
        let turn = File::create(labs.join(".turn"))?;
        turn.lock()?;
        remove_dead(&labs)?;
        let name = format!(
            "ramgate-lab-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let lock_path = labs.join(format!("{name}.lock"));
        let lock = File::create(&lock_path)?;
        lock.lock()?;
        let path = labs.join(&name);
        fs::create_dir(&path)?;

        Ok(Self {
            name,
            path,
            lock_path,
            _lock: lock,
            _root_locks: root_locks,
        })
    }

    /// The lab's name, unique on this machine.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The part of the lab's root that differs from the provisioned one. Written to directly only before the root is mounted.
    pub(crate) fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Best effort: what cannot be removed now is found by the next lab.
        if remove(&self.path, &self.name).is_ok() {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// The root file system of `suite`, as `provision` made it.
///
/// # Errors
///
/// When `provision` has not been run.
pub fn root(suite: &str) -> Result<PathBuf> {
    let root = suite_directory(suite)?.join("root");
    if !root.is_dir() {
        bail!(
            "no engine root `{}`: run `tests/support/provision` as root",
            root.display()
        );
    }
    Ok(root)
}

/// The version of a package in the root of `suite`, as Debian spells it.
pub(crate) fn package_version(suite: &str, package: &str) -> Result<String> {
    let path = suite_directory(suite)?.join("packages");
    let packages =
        fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?;
    packages
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .find(|(name, _)| *name == package)
        .map(|(_, version)| version.to_owned())
        .ok_or_else(|| anyhow!("no package `{package}` in `{}`", path.display()))
}

/// Keeps `provision` from replacing the root while a lab stands on it.
fn lock_root(suite: &str) -> Result<File> {
    let path = suite_directory(suite)?.with_extension("lock");
    let lock = File::open(&path).with_context(|| {
        format!(
            "opening `{}`: run `tests/support/provision` as root",
            path.display()
        )
    })?;
    lock.lock_shared()?;
    Ok(lock)
}

fn suite_directory(suite: &str) -> Result<PathBuf> {
    Ok(cache()?.join("engines").join(suite))
}

/// Where engines and tools are kept, the same place as `provision`'s.
///
/// # Errors
///
/// When the environment names no home.
pub fn cache() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    variable("RAMGATE_CACHE")
        .map(PathBuf::from)
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("ramgate")))
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache/ramgate")))
        .context("none of RAMGATE_CACHE, XDG_CACHE_HOME and HOME is set")
}

fn remove_dead(labs: &Path) -> Result<()> {
    for entry in fs::read_dir(labs)? {
        let lock_path = entry?.path();
        let Some(name) = lock_path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".lock"))
        else {
            continue;
        };
        // A lock file that goes away meanwhile is being removed by the lab's owner.
        let Some(lock) = present(File::open(&lock_path))? else {
            continue;
        };
        if lock.try_lock().is_ok() {
            remove(&labs.join(name), name)
                .with_context(|| format!("removing what the dead lab `{name}` left"))?;
            present(fs::remove_file(&lock_path))?;
        }
    }
    Ok(())
}

/// Removes the files and the control groups of a lab whose processes are ended or about to be.
fn remove(path: &Path, name: &str) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match try_remove(path, name) {
            // A process on its way out still holds its control group and makes files.
            Err(error) if busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

fn try_remove(path: &Path, name: &str) -> io::Result<()> {
    present(fs::remove_dir_all(path))?;
    for hierarchy in cgroup_hierarchies()? {
        remove_cgroup(&hierarchy.join(name))?;
    }
    Ok(())
}

fn busy(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::DirectoryNotEmpty
    )
}

/// The unified hierarchy, or each of the old ones.
fn cgroup_hierarchies() -> io::Result<Vec<PathBuf>> {
    let top = PathBuf::from("/sys/fs/cgroup");
    let mut hierarchies = subdirectories(&top)?;
    hierarchies.push(top);
    Ok(hierarchies)
}

/// A control group goes when its children have gone; its files are no files to remove.
fn remove_cgroup(group: &Path) -> io::Result<()> {
    for child in present(subdirectories(group))?.unwrap_or_default() {
        remove_cgroup(&child)?;
    }
    present(fs::remove_dir(group))?;
    Ok(())
}

/// Takes it that a file is not there for an answer.
pub(crate) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn subdirectories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What `provision` makes a root of.
pub(crate) const SUITES: [&str; 4] = ["bookworm", "trixie", "forky", PULLERS];
/// The root with the clients that are no engine.
pub(crate) const PULLERS: &str = "pullers";
static NEXT: AtomicU32 = AtomicU32::new(0);
