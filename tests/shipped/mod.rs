//! What `make` makes to be shipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Makes a target of the Makefile, of a development build, and finds what it made.
pub(crate) fn made(
    target: &str,
    variables: &[&str],
    is_it: impl Fn(&str) -> bool,
) -> Result<PathBuf> {
    let name = [&[target], variables].concat().join("-");
    let directory: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    let output = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--no-print-directory", target, "PROFILE=dev"])
        .args(variables)
        .arg(format!("DIST={}", directory.display()))
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut files = std::fs::read_dir(&directory)?.flatten();
    let found = files.find(|file| file.file_name().to_str().is_some_and(&is_it));
    Ok(found.context("nothing was made")?.path())
}
