//! A disk that takes its time: what a pull gets does not wait for `fsync`, and what was not on the disk is never taken for kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::origin::{Origin, get, noise};
use crate::process::{Process, directory, files};

#[test]
fn a_slow_disk_holds_up_no_pull_and_what_is_not_on_it_is_not_kept() -> Result<()> {
    let (store, tools) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let preload = format!("LD_PRELOAD={}", slow_disk(tools.path())?.display());
    let kept = || files(&store.path().join("blobs")).len();
    let origin = Origin::start()?;
    let blob = noise(1, 3_000_000);
    let name = origin.put_blob(blob.clone());
    let manifest = br#"{"schemaVersion":2,"layers":[]}"#;
    origin.put_manifest("latest", manifest);

    let mut process =
        Process::start_in(origin.address, &directory(store.path()), &["env", &preload])?;
    let begun = Instant::now();
    for _ in 0..2 {
        ensure!(get(process.address, &name)?.body == blob);
        ensure!(get(process.address, "manifests/latest")?.body == manifest);
    }
    let took = begun.elapsed();
    ensure!(took < WAIT / 2, "two pulls took {took:?}");
    ensure!(origin.gets() == 2, "fetched {} times", origin.gets());
    ensure!(kept() == 0, "kept before it was on the disk");
    process.kill()?;

    // As if it had never been there: on its way it was under no name that is read.
    let process = Process::start_in(origin.address, &directory(store.path()), &["env", &preload])?;
    ensure!(
        kept() == 0,
        "kept by one that died before it was on the disk"
    );
    let begun = Instant::now();
    ensure!(get(process.address, &name)?.body == blob);
    ensure!(get(process.address, "manifests/latest")?.body == manifest);
    ensure!(origin.gets() == 4, "fetched {} times", origin.gets());
    while kept() < 2 {
        ensure!(begun.elapsed() < 4 * WAIT, "{}", process.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(begun.elapsed() >= WAIT, "the disk was not slow");
    ensure!(get(process.address, &name)?.body == blob && origin.gets() == 4);
    Ok(())
}

/// A library that makes `fsync` wait, for `LD_PRELOAD`.
fn slow_disk(tools: &Path) -> Result<PathBuf> {
    let library = tools.join("slow.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/storage/slow.c");
    let status = std::process::Command::new("cc")
        .arg(format!("-DSECONDS={}", WAIT.as_secs()))
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()?;
    ensure!(status.success(), "cc: {status}");
    Ok(library)
}

const WAIT: Duration = Duration::from_secs(6);
