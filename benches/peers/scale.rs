//! Whether a store with a million manifests is as fast as one with a thousand: to start on, and to find something in.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use http::Request;
use http::header::HOST;
use http_body_util::Full;
use hyper::body::Bytes;

use crate::Bench;
use crate::content::{self, REPOSITORY};
use crate::load::{Address, Expected, Load};
use crate::policy::{self, FEW};
use crate::ramgate::{Ramgate, free_address};
use crate::rounds::{Figure, Pair, Unit};
use crate::table::Table;

pub(crate) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    if !(bench.wants(START) || bench.wants(LOOKUP)) {
        return Ok(());
    }
    let mut stores = Vec::new();
    for count in [MANY, FEW_MANIFESTS] {
        let store = tempfile::tempdir()?;
        eprintln!("making {count} manifests …");
        fill(store.path(), count)?;
        stores.push((count, store));
    }
    let (mut starts, mut lookups) = (Vec::new(), Vec::new());
    for (count, store) in &stores {
        let (mut start, mut lookup) = (Vec::new(), Vec::new());
        for round in 0..bench.rounds {
            let (ready, found) = look(bench, store.path(), *count, round)?;
            start.push(ready);
            lookup.push(found);
        }
        starts.push(start);
        lookups.push(lookup);
    }
    for (case, figures) in [(START, starts), (LOOKUP, lookups)] {
        let [many, few] = figures.as_slice() else {
            continue;
        };
        table.add(case, "1000 manifests", Pair::of(many, few), Some(0.9));
    }
    Ok(())
}

/// The time to be ready, and to find a manifest that was not asked for since.
fn look(bench: &Bench, store: &Path, count: u32, round: usize) -> Result<(Figure, Figure)> {
    // Nothing is asked of the upstream: nobody listens there.
    let ramgate = Ramgate::start_on(&bench.ramgate, &policy::text(FEW), free_address()?, store)?;
    let mut found = Vec::new();
    for step in 0..LOOKUPS {
        let number = (u32::try_from(round)? * LOOKUPS + step) * 7_919 % count;
        let request = Request::get(format!("/v2/{REPOSITORY}/manifests/{}", digest(number)))
            .header(HOST, ramgate.mirror.to_string())
            .body(Full::<Bytes>::default())?;
        let load = Load {
            address: Address::Tcp(ramgate.mirror),
            request,
            connections: 1,
            requests: 1,
            time: Duration::from_secs(1),
            rate: None,
            expected: Expected::Length(manifest(number).len() as u64),
        };
        let started = Instant::now();
        load.run()?;
        found.push(started.elapsed().as_secs_f64());
    }
    Ok((
        Figure::new(ramgate.ready_in.as_secs_f64(), Unit::Seconds),
        Figure::new(crate::rounds::median(found), Unit::Seconds),
    ))
}

fn manifest(number: u32) -> String {
    format!(r#"{{"schemaVersion":2,"layers":[],"annotations":{{"number":"{number}"}}}}"#)
}

fn digest(number: u32) -> String {
    content::digest(manifest(number).as_bytes())
}

/// Puts manifests where the mirror keeps them.
fn fill(store: &Path, count: u32) -> Result<()> {
    let links = store
        .join("repositories/docker.io")
        .join(REPOSITORY)
        .join("_manifests/sha256");
    std::fs::create_dir_all(&links)?;
    for fan in 0..=u8::MAX {
        std::fs::create_dir_all(store.join(format!("blobs/sha256/{fan:02x}")))?;
    }
    let threads = u32::try_from(std::thread::available_parallelism()?.get())?;
    let fill = |first: u32| {
        (first..count)
            .step_by(usize::try_from(threads)?)
            .try_for_each(|number| keep(store, &links, number))
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || fill(first)))
            .collect();
        all.into_iter()
            .try_for_each(|one| one.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

fn keep(store: &Path, links: &Path, number: u32) -> Result<()> {
    let digest = digest(number);
    let digits = digest.trim_start_matches("sha256:");
    let fan: String = digits.chars().take(2).collect();
    let place = store.join("blobs/sha256").join(fan).join(digits);
    std::fs::write(place, manifest(number))?;
    Ok(std::fs::write(links.join(digits), MEDIA_TYPE)?)
}

const START: &str = "scale: start with 1000000 manifests";
const LOOKUP: &str = "scale: a manifest of 1000000, found on disk";
const MANY: u32 = 1_000_000;
const FEW_MANIFESTS: u32 = 1_000;
const LOOKUPS: u32 = 50;
const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
