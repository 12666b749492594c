//! The program `nft`.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

use super::TABLE;

/// Whether the system below `root` has it.
pub(crate) fn is_installed(root: &Path) -> bool {
    let places = [
        "usr/sbin/nft",
        "sbin/nft",
        "usr/bin/nft",
        "usr/local/sbin/nft",
    ];
    places.iter().any(|place| root.join(place).exists())
}

/// Puts rules in force, all of them or none.
pub(crate) fn load(rules: &str) -> anyhow::Result<()> {
    let output = run(&["-f", "-"], rules)?;
    if !output.status.success() {
        bail!("{}", complaint(&output));
    }
    Ok(())
}

/// Our table as it is in force; `None` if there is none.
pub(crate) fn table() -> anyhow::Result<Option<String>> {
    let arguments: Vec<&str> = ["list", "table"]
        .into_iter()
        .chain(TABLE.split(' '))
        .collect();
    let output = run(&arguments, "")?;
    if output.status.success() {
        return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let complaint = complaint(&output);
    if complaint.contains("No such file or directory") {
        Ok(None)
    } else {
        bail!("{complaint}")
    }
}

fn run(arguments: &[&str], input: &str) -> anyhow::Result<Output> {
    // Root's PATH has it; others' may not, and they may at least ask.
    let mut child = ["nft", "/usr/sbin/nft", "/usr/local/sbin/nft"]
        .into_iter()
        .find_map(|program| match start(program, arguments) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            started => Some(started),
        })
        .context("`nft` is not installed; it is in the package `nftables`")?
        .context("running `nft`")?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that leaves before it has read everything says why on its way out.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().context("running `nft`")
}

fn start(program: &str, arguments: &[&str]) -> io::Result<std::process::Child> {
    Command::new(program)
        .args(arguments)
        // What it complains of is read here.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.trim().lines().next().unwrap_or("it did not say why");
    let advice = if line.contains("Operation not permitted") {
        "; run it as root"
    } else {
        ""
    };
    format!("`nft`: {line}{advice}")
}
