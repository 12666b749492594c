//! A million namespaces: how long they take to take in and to open, what a process holds that opens and uses them, and whether a
//! decision takes longer than with ten. `cargo bench -p ramgate-catalog`.

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
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == USE);
    if let Some([path, count]) = at.and_then(|at| arguments.get(at + 1..at + 3)) {
        return use_all(Path::new(path), count.parse().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    for count in [10, 1_000_000] {
        let path = folder.path().join(format!("{count}.redb"));
        let started = Instant::now();
        open(&path).import(&bundle(count)).unwrap();
        println!(
            "{count:>9} namespaces: taken in {:.2?}, {} KiB on disk",
            started.elapsed(),
            std::fs::metadata(&path).unwrap().len() / 1024,
        );
        // In a process of its own: here, what taking in has freed would be used again and not be seen.
        let used = std::process::Command::new(std::env::current_exe().unwrap())
            .args([USE.as_ref(), path.as_os_str(), count.to_string().as_ref()])
            .status()
            .unwrap();
        assert!(used.success());
    }
}

/// Opens a catalogue and decides by every namespace that is in it.
fn use_all(path: &Path, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let policy =
        Policy::parse(r#"{ "version": 1, "docker-hub": { "verified-publisher": "allow" } }"#)
            .unwrap();
    let before = resident_kib();
    let started = Instant::now();
    let catalog = open(path);
    let (opened, open) = (started.elapsed(), resident_kib());
    // Each wanted for the first time, from the file; then again, from memory.
    let names: Vec<String> = (0..10)
        .map(|index| format!("publisher-{}/app", index * count / 10))
        .collect();
    let first = runtime.block_on(microseconds(&catalog, &policy, &names, 1));
    let again = runtime.block_on(microseconds(&catalog, &policy, &names, 20_000));
    println!(
        "           opened {opened:.2?}; a decision {first:.2} µs from the file and {again:.3} µs from memory; \
         {before} KiB resident before, {open} open",
    );
    let mut all = 0.0;
    for index in 0..count {
        let name = [format!("publisher-{index}/app")];
        all += runtime.block_on(microseconds(&catalog, &policy, &name, 1));
    }
    println!(
        "           {} KiB resident after every namespace was wanted once, {:.2} µs each",
        resident_kib(),
        all / count as f64,
    );
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

/// What this program is told, to be the one that uses the catalogue.
const USE: &str = "use-all";
