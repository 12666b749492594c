//! What the mirror keeps, when its process is killed, its disk is full, or it is not alone. Real processes, and a real S3 API server.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bucket;
mod origin;
mod process;
mod slow;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use origin::{Origin, digest, get, noise};
use process::{Process, directory, files};
use serde_json::json;

#[expect(clippy::disallowed_methods, reason = "the clock of the file system")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// That all content is what its name says. What was looked at before is not read again.
fn check_content(store: &Path, seen: &mut HashSet<String>) -> Result<()> {
    for file in files(&store.join("blobs")) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if seen.insert(name.clone()) {
            let found = digest(&std::fs::read(&file)?);
            ensure!(found == format!("sha256:{name}"), "{name} is {found}");
        }
    }
    Ok(())
}

#[test]
fn killed_at_any_moment_it_keeps_nothing_wrong_and_serves_nothing_wrong() -> Result<()> {
    let store = tempfile::tempdir()?;
    let origin = Origin::start()?;
    origin.slow_down(Duration::from_micros(500));
    let settings = directory(store.path());
    let (mut seen, mut whole, mut cut) = (HashSet::new(), 0, 0);
    let mut all = Duration::ZERO;
    for round in 0..200_u64 {
        let blobs = [(2 * round, 1_500_000), (2 * round + 1, 300_000)]
            .map(|(seed, length)| origin.put_blob(noise(seed, length)));
        let manifest =
            format!(r#"{{"schemaVersion":2,"layers":[],"annotations":{{"round":"{round}"}}}}"#);
        origin.put_manifest("latest", manifest.as_bytes());
        let mut process = Process::start(origin.address, &settings)?;
        let address = process.address;
        let mut pulls: Vec<_> = blobs
            .iter()
            .chain(&blobs)
            .cloned()
            .map(|path| {
                std::thread::spawn(move || get(address, &path).map(|answer| (path, answer)))
            })
            .collect();
        pulls.push(std::thread::spawn(move || {
            get(address, "manifests/latest")
                .map(|answer| (format!("blobs/{}", digest(&answer.body)), answer))
        }));
        // From before the first byte until after the last is on disk, which the first round shows how long it takes.
        if round == 0 {
            let begun = std::time::Instant::now();
            while files(&store.path().join("blobs")).len() < 3 {
                ensure!(
                    begun.elapsed() < Duration::from_secs(20),
                    "{}",
                    process.log()
                );
                std::thread::sleep(Duration::from_millis(1));
            }
            all = begun.elapsed();
        } else {
            let moment = u32::try_from(round * 7_919 % 1_000)?;
            std::thread::sleep(all * moment * 3 / 2 / 1_000);
        }
        process.kill()?;
        for pull in pulls {
            match pull.join().unwrap() {
                Ok((path, answer)) => {
                    assert_eq!(answer.status, 200, "{path}");
                    assert_eq!(path, format!("blobs/{}", digest(&answer.body)));
                    whole += 1;
                }
                Err(_) => cut += 1,
            }
        }
        check_content(store.path(), &mut seen)?;
    }
    // Else the moments were badly chosen.
    assert!(whole > 50 && cut > 50, "{whole} whole, {cut} cut");
    assert!(seen.len() > 10, "{}", seen.len());

    recover(&origin, store.path(), &settings)
}

/// What is kept after all crashes is right, and what the dead have left half done goes.
fn recover(origin: &Origin, store: &Path, settings: &serde_json::Value) -> Result<()> {
    let process = Process::start(origin.address, settings)?;
    for seed in 0..10 {
        let blob = noise(seed, if seed % 2 == 0 { 1_500_000 } else { 300_000 });
        let answer = get(process.address, &format!("blobs/{}", digest(&blob)))?;
        assert!(answer.body == blob);
    }
    assert_eq!(process.says(&[], "verify")?["removed"], json!([]));
    // What the dead have left goes once nobody can be writing it any more.
    let left = files(&store.join("incoming"));
    assert!(!left.is_empty());
    for file in &left {
        let long_ago = now() - Duration::from_hours(2);
        std::fs::File::options()
            .write(true)
            .open(file)?
            .set_modified(long_ago)?;
    }
    process.says(&[], "gc")?;
    assert!(files(&store.join("incoming")).is_empty());
    Ok(())
}

#[test]
fn two_processes_share_a_directory_and_one_may_die() -> Result<()> {
    let store = tempfile::tempdir()?;
    let origin = Origin::start()?;
    origin.slow_down(Duration::from_millis(2));
    let settings = directory(store.path());
    let mut seen = HashSet::new();
    for round in 0..10_u64 {
        let blob = noise(1_000 + round, 2_000_000);
        let path = origin.put_blob(blob.clone());
        let mut doomed = Process::start(origin.address, &settings)?;
        let other = Process::start(origin.address, &settings)?;
        let pulls = [doomed.address, other.address].map(|address| {
            let path = path.clone();
            std::thread::spawn(move || get(address, &path))
        });
        std::thread::sleep(Duration::from_millis(9 * round));
        doomed.kill()?;
        let [_, survivor] = pulls.map(|pull| pull.join().unwrap());
        assert!(survivor?.body == blob);
        check_content(store.path(), &mut seen)?;
        assert!(get(other.address, &path)?.body == blob);
    }
    Ok(())
}

#[test]
fn a_full_disk_keeps_nobody_from_pulling() -> Result<()> {
    let store = tempfile::tempdir()?;
    let origin = Origin::start()?;
    let path = store.path().display().to_string();
    let script = format!("mount -t tmpfs -o size=3m none {path} && exec \"$@\"");
    let before = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        &script,
        "sh",
    ];
    let process = Process::start_in(origin.address, &directory(store.path()), &before)?;
    let pid = process.id().to_string();
    let inside = [
        "nsenter",
        "--target",
        &pid,
        "--user",
        "--mount",
        "--preserve-credentials",
        "--",
    ];

    let large = noise(1, 8_000_000);
    let name = origin.put_blob(large.clone());
    let pulls: Vec<_> = (0..6)
        .map(|_| {
            let (address, name) = (process.address, name.clone());
            std::thread::spawn(move || get(address, &name))
        })
        .collect();
    for pull in pulls {
        assert!(pull.join().unwrap()?.body == large);
    }
    // What has room is kept, also after that.
    let small = noise(2, 1_000_000);
    let small_name = origin.put_blob(small.clone());
    let manifest = br#"{"schemaVersion":2,"layers":[]}"#;
    origin.put_manifest("latest", manifest);
    for _ in 0..2 {
        assert!(get(process.address, &small_name)?.body == small);
        assert_eq!(get(process.address, "manifests/latest")?.body, manifest);
        std::thread::sleep(Duration::from_millis(200));
    }
    // And when there is no room for anything.
    for seed in 3..20 {
        let blob = noise(seed, 400_000);
        let name = origin.put_blob(blob.clone());
        assert!(get(process.address, &name)?.body == blob);
    }
    for number in 0..20 {
        let manifest =
            format!(r#"{{"schemaVersion":2,"layers":[],"annotations":{{"n":"{number}"}}}}"#);
        origin.put_manifest(&format!("t{number}"), manifest.as_bytes());
        assert_eq!(
            get(process.address, &format!("manifests/t{number}"))?.body,
            manifest.as_bytes()
        );
    }
    assert!(process.log().contains("and not kept"), "{}", process.log());
    let stats = process.says(&inside, "stats")?;
    assert!(stats["size-bytes"].as_u64() > Some(1_000_000), "{stats}");
    assert_eq!(process.says(&inside, "verify")?["removed"], json!([]));
    Ok(())
}

#[test]
fn what_rots_is_found_and_fetched_again() -> Result<()> {
    let store = tempfile::tempdir()?;
    let origin = Origin::start()?;
    let blob = noise(1, 500_000);
    let name = origin.put_blob(blob.clone());
    let process = Process::start(origin.address, &directory(store.path()))?;
    assert!(get(process.address, &name)?.body == blob);
    let kept = loop {
        if let Some(file) = files(&store.path().join("blobs")).pop() {
            break file;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut rotten = blob.clone();
    rotten[77] ^= 4;
    std::fs::write(&kept, rotten)?;
    let output = process.mirror(&[], "verify")?;
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(
        (
            &found["verified"],
            found["removed"].as_array().map(Vec::len)
        ),
        (&json!(1), Some(1))
    );
    assert!(get(process.address, &name)?.body == blob);
    assert_eq!(process.says(&[], "verify")?["removed"], json!([]));
    Ok(())
}

#[test]
fn what_was_not_asked_for_the_longest_goes_first_and_pins_stay() -> Result<()> {
    let store = tempfile::tempdir()?;
    let origin = Origin::start()?;
    let settings = |pins: serde_json::Value| {
        let mut settings = directory(store.path());
        settings["max-size"] = json!("3MiB");
        settings["pin"] = pins;
        settings
    };
    let place = |digits: &str| {
        let fan: String = digits.chars().take(2).collect();
        store.path().join("blobs/sha256").join(fan).join(digits)
    };
    let paths: Vec<String> = (0..5)
        .map(|seed| origin.put_blob(noise(seed, 500_000)))
        .collect();
    let mut process = Process::start(origin.address, &settings(json!([])))?;
    for path in &paths {
        get(process.address, path)?;
    }
    let count = || files(&store.path().join("blobs")).len();
    while count() < 5 {
        std::thread::sleep(Duration::from_millis(5));
    }
    // The first is the one that was asked for last.
    for (hours, path) in paths.iter().enumerate() {
        let digits = path.trim_start_matches("blobs/sha256:");
        let file = place(digits);
        let used = now() - Duration::from_hours(1 + hours as u64);
        std::fs::File::open(file)?.set_times(std::fs::FileTimes::new().set_accessed(used))?;
    }
    for seed in 5..8 {
        get(process.address, &origin.put_blob(noise(seed, 500_000)))?;
    }
    // 4 MB are too much by more than one: the two or three that were not asked for the longest go.
    let gone = |path: &String| {
        let digits = path.trim_start_matches("blobs/sha256:");
        !place(digits).exists()
    };
    let begun = std::time::Instant::now();
    while !(gone(&paths[4]) && gone(&paths[3])) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{} files",
            count()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!gone(&paths[0]) && !gone(&paths[1]));
    process.kill()?;

    // Without a running mirror, and with all of it pinned.
    let mut tight = settings(json!(["registry.test/library/*"]));
    tight["max-size"] = json!("1MiB");
    let process = Process::start(origin.address, &tight)?;
    let before = count();
    assert_eq!(process.says(&[], "gc")?["evicted"], json!(0));
    assert_eq!(count(), before);
    tight["pin"] = json!([]);
    drop(process);
    let process = Process::start(origin.address, &tight)?;
    process.says(&[], "gc")?;
    assert!(count() <= 2, "{}", count());
    assert_eq!(
        process.says(&[], "stats")?["repositories"]["registry.test/library/app"]["blobs"],
        json!(count())
    );
    Ok(())
}
