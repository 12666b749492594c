//! Three mirrors on one bucket, served by a real S3 API server.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::origin::{Origin, exchange, get, get_part, noise, send};
use crate::process::Process;

/// An S3 API server with one bucket.
struct S3 {
    child: Child,
    address: SocketAddr,
}

// === impl S3 ===

impl S3 {
    fn start() -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let program = cache().join("tools/moto/bin/moto_server");
        ensure!(
            program.exists(),
            "there is no {}; `tests/support/provision-s3` makes it",
            program.display()
        );
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(
                begun.elapsed() < Duration::from_secs(60),
                "moto does not listen"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        ensure!(send(address, "PUT", "/images")?.status == 200, "no bucket");
        Ok(server)
    }

    /// Waits until this content is there.
    fn wait_for(&self, path: &str) -> Result<()> {
        let begun = Instant::now();
        let place = place(path);
        let is_there = || {
            let answer = exchange(self.address, "HEAD", &place, SIGNED, b"");
            answer.is_ok_and(|answer| answer.status == 200)
        };
        while !is_there() {
            ensure!(begun.elapsed() < Duration::from_secs(20), "{path}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Puts something where a mirror keeps this content, as anybody may who may write to the bucket.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let answer = exchange(self.address, "PUT", &place(path), SIGNED, bytes)?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
        Ok(())
    }

    fn settings(&self) -> Value {
        json!({
            "storage": "s3://images/cache",
            "storage-options": {
                "endpoint": format!("http://{}", self.address),
                "allow-http": "true",
                "region": "us-east-1",
                "access-key-id": "key",
                "secret-access-key": "not-a-secret",
            },
        })
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a mirror keeps this content in the bucket.
fn place(path: &str) -> String {
    let digits = path.trim_start_matches("blobs/sha256:");
    let fan: String = digits.chars().take(2).collect();
    format!("/images/cache/blobs/sha256/{fan}/{digits}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test reads where the tools are"
)]
fn cache() -> PathBuf {
    let home = || std::env::var("HOME").unwrap();
    let own = std::env::var("RAMGATE_CACHE").map(PathBuf::from);
    let general = || std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
    own.unwrap_or_else(|_| {
        general()
            .unwrap_or_else(|_| PathBuf::from(home()).join(".cache"))
            .join("ramgate")
    })
}

/// Waits until what was fetched is in the bucket, that is until another mirror serves it without asking the registry.
fn wait_for(origin: &Origin, mirror: &Process, path: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let before = origin.gets();
        get(mirror.address, path)?;
        if origin.gets() == before {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(20),
            "{path} does not come into the bucket\n{}",
            mirror.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// This server looks at who it is, and not whether it is true.
const SIGNED: &str = "authorization: AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";

#[test]
fn three_mirrors_share_a_bucket_and_any_of_them_may_die() -> Result<()> {
    let s3 = S3::start()?;
    let origin = Origin::start()?;
    let start = || Process::start(origin.address, &s3.settings());
    let (mut doomed, second, third) = (start()?, start()?, start()?);

    // Large enough for an upload in parts.
    let blob = noise(1, 20_000_000);
    let path = origin.put_blob(blob.clone());
    let manifest = br#"{"schemaVersion":2,"layers":[]}"#;
    origin.put_manifest("latest", manifest);
    assert!(get(doomed.address, &path)?.body == blob);
    assert_eq!(get(doomed.address, "manifests/latest")?.body, manifest);
    wait_for(&origin, &second, &path)?;
    let before = origin.gets();
    for mirror in [&second, &third] {
        assert!(get(mirror.address, &path)?.body == blob);
        assert_eq!(get(mirror.address, "manifests/latest")?.body, manifest);
    }
    assert_eq!(origin.gets(), before);

    origin.slow_down(Duration::from_micros(300));
    for round in 0..8_u64 {
        let blob = noise(100 + round, 18_000_000);
        let path = origin.put_blob(blob.clone());
        let pulls = [doomed.address, second.address, third.address].map(|address| {
            let path = path.clone();
            std::thread::spawn(move || get(address, &path))
        });
        // While it arrives, while it is uploaded, and after.
        std::thread::sleep(Duration::from_millis(100 * round));
        doomed.kill()?;
        let [_, two, three] = pulls.map(|pull| pull.join().unwrap());
        assert!(two?.body == blob && three?.body == blob, "round {round}");
        doomed = start().context("again")?;
        assert!(get(doomed.address, &path)?.body == blob);
    }

    let verified = third.says(&[], "verify")?;
    assert_eq!(verified["removed"], json!([]));
    assert!(verified["verified"].as_u64() >= Some(2), "{verified}");
    let stats = third.says(&[], "stats")?;
    assert_eq!(
        stats["repositories"]["registry.test/library/app"]["tags"],
        json!(1)
    );
    assert_eq!(third.says(&[], "gc")?["unreferenced"], json!(0));
    assert!(!third.log().contains("not-a-secret"));
    Ok(())
}

#[test]
fn a_bucket_that_is_gone_keeps_nobody_from_pulling() -> Result<()> {
    let s3 = S3::start()?;
    let origin = Origin::start()?;
    let process = Process::start(origin.address, &s3.settings())?;
    drop(s3);
    let blob = noise(1, 300_000);
    let path = origin.put_blob(blob.clone());
    assert!(get(process.address, &path)?.body == blob);
    Ok(())
}

#[test]
fn what_somebody_else_has_put_into_the_bucket_nobody_gets_whole() -> Result<()> {
    let s3 = S3::start()?;
    let origin = Origin::start()?;
    let (first, second) = (
        Process::start(origin.address, &s3.settings())?,
        Process::start(origin.address, &s3.settings())?,
    );
    for (seed, read_before) in [(1, false), (2, true)] {
        let blob = noise(seed, 3_000_000);
        let path = origin.put_blob(blob.clone());
        let mut evil = blob.clone();
        evil[1_234_567] ^= 1;
        assert!(get(first.address, &path)?.body == blob);
        s3.wait_for(&path)?;
        if read_before {
            assert!(get(second.address, &path)?.body == blob);
        }
        s3.replace(&path, &evil)?;
        let got = get(second.address, &path);
        assert!(got.is_err(), "seed {seed}: all of what is wrong was served");
        assert!(second.log().contains("is not what its name says"));
        // It is gone from there, and fetched again.
        assert!(get(second.address, &path)?.body == blob);
        // A part that is right by itself waits as well: that it is, nobody knows.
        s3.wait_for(&path)?;
        s3.replace(&path, &evil)?;
        let part = get_part(second.address, &path, "bytes=0-99999");
        assert!(part.is_err(), "seed {seed}: a part of it was served");
        let part = get_part(second.address, &path, "bytes=0-99999")?;
        assert!(part.status == 206 && part.body == blob[..100_000]);
    }
    Ok(())
}
