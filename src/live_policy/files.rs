//! The policy's file and its drop-ins: read, told from one another, and checked.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ramgate_policy::document::Findings;
use ramgate_policy::{FoldError, Folded, Policy};
use thiserror::Error;

use crate::fingerprint::fingerprint;
use crate::settings::{listed, read_text};

/// The policy's text, then those of its drop-ins in the order of their names.
pub(crate) type Texts = Vec<(PathBuf, String)>;

/// Why there is no policy.
#[derive(Debug, Error)]
pub(crate) enum PolicyError {
    /// There is no file.
    #[error("{0}: there is no policy; write one with `ramgate policy init`")]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{}", listed(.path, .findings))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        findings: Findings,
    },
    /// The file cannot be watched, or signals cannot be received.
    #[error("cannot watch {path}: {source}")]
    Unwatchable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Reads and checks a policy file and its drop-ins.
pub(crate) fn load(path: &Path) -> Result<Policy, PolicyError> {
    parse(&read(path)?)
}

/// Reads and checks a policy file and its drop-ins, and makes one file of them.
pub(crate) fn folded(path: &Path) -> Result<Result<Folded, FoldError>, PolicyError> {
    let texts = read(path)?;
    parse(&texts)?;
    let mut texts = texts.iter();
    let (_, base) = texts
        .next()
        .ok_or_else(|| PolicyError::Missing(path.to_owned()))?;
    let fold = Folded::read(base).and_then(|mut folded| {
        for (file, text) in texts {
            folded.fold(&name_of(file), text)?;
        }
        Ok(folded)
    });
    Ok(fold)
}

fn name_of(file: &Path) -> Cow<'_, str> {
    file.file_name().unwrap_or_default().to_string_lossy()
}

/// Reads a policy file and its drop-ins.
pub(crate) fn read(path: &Path) -> Result<Texts, PolicyError> {
    let mut texts = vec![(path.to_owned(), read_file(path)?)];
    texts.extend(drop_ins(path)?);
    Ok(texts)
}

/// Reads the drop-ins of a policy file, in their order.
pub(crate) fn drop_ins(path: &Path) -> Result<Texts, PolicyError> {
    let files = list_drop_ins(path)?.into_iter();
    files
        .map(|file| read_file(&file).map(|text| (file, text)))
        .collect()
}

fn read_file(path: &Path) -> Result<String, PolicyError> {
    let path = path.to_owned();
    read_text(&path).map_err(|source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            PolicyError::Missing(path)
        } else {
            PolicyError::Unreadable { path, source }
        }
    })
}

/// What tells one text of a policy and its drop-ins from another.
pub(crate) fn digest(texts: &Texts) -> String {
    let mut all = Vec::new();
    for (_, text) in texts {
        all.extend(text.len().to_be_bytes());
        all.extend(text.as_bytes());
    }
    fingerprint(&all)
}

/// Checks a policy file's text and those of its drop-ins.
pub(crate) fn parse(texts: &Texts) -> Result<Policy, PolicyError> {
    let mut policy: Option<Policy> = None;
    for (path, text) in texts {
        let read = match policy {
            None => Policy::parse(text),
            Some(policy) => policy.tightened(&name_of(path), text),
        };
        policy = Some(read.map_err(|findings| PolicyError::Invalid {
            path: path.clone(),
            findings,
        })?);
    }
    policy.ok_or_else(|| PolicyError::Missing(PathBuf::new()))
}

/// The files in `policy.d` beside the policy. One that cannot be listed is not passed over: that would loosen the policy.
fn list_drop_ins(path: &Path) -> Result<Vec<PathBuf>, PolicyError> {
    let directory = path.with_extension("d");
    let unreadable = |source| PolicyError::Unreadable {
        path: directory.clone(),
        source,
    };
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        // A link that leads nowhere is there: what it should lead to is missing, and may come back.
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && directory.symlink_metadata().is_err() =>
        {
            return Ok(Vec::new());
        }
        // The policy itself ends in `.d`.
        Err(_) if directory == path => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(unreadable)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
