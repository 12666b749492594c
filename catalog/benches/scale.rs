//! A million namespaces: how long they take to take in and to open, what memory they hold, and whether a decision takes longer
//! than with ten. `cargo bench -p ramgate-catalog`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and fails by panicking"
)]

use std::path::Path;
use std::time::Instant;

use ramgate_catalog::{Bundle, Catalog, Config};
use ramgate_policy::{Action, Decision, Policy, Request, Subject};
use serde_json::json;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for count in [10, 1_000_000] {
        let path = folder.path().join(format!("{count}.redb"));
        let started = Instant::now();
        let bundle = bundle(count);
        open(&path).import(&bundle).unwrap();
        drop(bundle);
        let taken_in = started.elapsed();

        let before = resident_kib();
        let started = Instant::now();
        let catalog = open(&path);
        let opened = started.elapsed();
        let policy =
            Policy::parse(r#"{ "version": 1, "docker-hub": { "verified-publisher": "allow" } }"#)
                .unwrap();
        // Each wanted for the first time, from the file; then again, from memory.
        let names: Vec<String> = (0..10)
            .map(|index| format!("publisher-{}/app", index * count / 10))
            .collect();
        let first = runtime.block_on(microseconds(&catalog, &policy, &names, 1));
        let again = runtime.block_on(microseconds(&catalog, &policy, &names, 20_000));
        println!(
            "{count:>9} namespaces: taken in {taken_in:.2?}, opened {opened:.2?}, {} KiB more in memory, \
             {} KiB on disk, a decision {first:.2} µs from the file and {again:.3} µs from memory",
            resident_kib().saturating_sub(before),
            std::fs::metadata(&path).unwrap().len() / 1024,
        );
    }
}

fn open(path: &Path) -> Catalog {
    Catalog::open(Config {
        path: Some(path.to_owned()),
        ..Config::default()
    })
    .unwrap()
}

fn bundle(count: usize) -> Bundle {
    let namespaces: Vec<_> = (0..count)
        .map(|index| json!([format!("publisher-{index}"), "verified-publisher", 1]))
        .collect();
    serde_json::from_value(json!({
        "version": 1, "made": 1, "expires": u64::MAX, "namespaces": namespaces
    }))
    .unwrap()
}

/// Of one decision, on average.
async fn microseconds(catalog: &Catalog, policy: &Policy, names: &[String], rounds: u32) -> f64 {
    let repositories: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
    let started = Instant::now();
    let mut made = 0_u32;
    for _ in 0..rounds {
        for repository in &repositories {
            let request = Request {
                repository,
                action: Action::Pull,
                subject: &Subject::Daemon,
            };
            let decision = catalog.evaluate(policy, &request).await;
            assert!(matches!(decision, Decision::Allow(_)));
            made += 1;
        }
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(made)
}

/// Memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
