//! ramgate killed at random moments under load, fifty times on two engines, and started again each time: nothing that is denied
//! runs or comes, and nothing that was allowed is lost.
//!
//! What an image is, its label `marker` tells: commits and builds inherit it, and no gate reads it.

#[path = "scenarios/place.rs"]
#[expect(dead_code, reason = "crashes need no more than a place to happen at")]
mod place;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use place::{Place, RESTRICTED, policy_with};
use ramgate_lab::{EngineKind, Image, Output};
use serde_json::json;

#[test]
fn crashes_open_nothing_and_lose_nothing_on_docker_28_5() -> Result<()> {
    crashes(EngineKind::Docker28_5)
}

#[test]
fn crashes_open_nothing_and_lose_nothing_on_docker_28_5_with_the_containerd_store() -> Result<()> {
    crashes(EngineKind::Docker28_5Containerd)
}

#[expect(clippy::print_stdout, reason = "what came of it, for who looks")]
fn crashes(kind: EngineKind) -> Result<()> {
    let seed = seed()?;
    let place = Place::new(kind, Path::new(env!("CARGO_BIN_EXE_ramgate")))?;
    let tally = prepare(&place)
        .and_then(|()| storm(&place, Random(seed)))
        .and_then(|tally| holds(&place).map(|()| tally));
    let tally = tally.with_context(|| format!("seed {seed}\n{}", place.lab.report()))?;
    println!("{kind}, seed {seed}: {tally:?}");
    Ok(())
}

/// A denied image and a container of it are on the host from better days, and allowed ones that nothing will touch.
fn prepare(place: &Place) -> Result<()> {
    let absent = Image::busybox("docker.io/evil/absent:latest")?;
    place
        .lab
        .docker_hub()
        .push("evil/absent", "latest", &absent)?;
    place.policy(&json!({ "version": 1 }))?;
    let done = |line: &str| docker(place, line)?.expect_success();
    done("pull evil/tool")?;
    done("create --name before --network none evil/tool sleep 60")?;
    // `gated` would refuse every build while the denied image is there.
    place.policy(&policy_with("local-images", json!({ "build": "allow" })))?;
    done("pull alpine:3")?;
    done("pull acme/app:1")?;
    done("run -d --name base --network none alpine:3 sleep 600")?;
    Ok(())
}

/// What came of the load.
#[derive(Debug, Default)]
struct Tally {
    /// Steps with allowed images that succeeded.
    allowed: AtomicUsize,
    /// Steps with allowed images that failed: each because of a crash.
    lost: AtomicUsize,
    /// Steps with denied images that were refused.
    refused: AtomicUsize,
    /// Builds on a denied image that is on the host, which no request shows; what comes of them is judged by what it is.
    built_on_denied: AtomicUsize,
}

// === impl Tally ===

impl Tally {
    /// Counts a step with allowed images, and says whether it succeeded. The policy must not have been what it failed by.
    fn count(&self, output: &Output) -> Result<bool> {
        let succeeded = output.status.success();
        let (counter, text) = if succeeded {
            (&self.allowed, String::new())
        } else {
            (&self.lost, output.text())
        };
        counter.fetch_add(1, Ordering::SeqCst);
        let refused = text.contains(RESTRICTED) || text.contains("not allowed");
        // The mirror was gone, and the network gate is there again.
        let no_mirror = text.contains("Docker Hub is reached through the mirror only");
        // Where the engine does not answer in time, buildx takes a driver that wants an image of its own.
        let other_driver = text.contains("docker-container driver");
        ensure!(
            !refused || no_mirror || other_driver,
            "a false alarm: {output}"
        );
        Ok(succeeded)
    }
}

fn storm(place: &Place, mut random: Random) -> Result<Tally> {
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    let starts = place
        .lab
        .command("docker")
        .args(["events", "--filter", "event=start"])
        .args([
            "--format",
            "{{.Actor.Attributes.image}} {{.Actor.Attributes.marker}}",
        ])
        .spawn("starts")?;
    // Only what is seen to see proves anything: it is there before the first crash.
    let begun = Instant::now();
    while !starts.log().contains(ALLOWED) {
        ensure!(
            begun.elapsed() < Duration::from_secs(20),
            "no start was seen"
        );
        docker(place, "run --rm --network none alpine:3 true")?.expect_success()?;
    }
    std::thread::scope(|scope| -> Result<()> {
        let loads = [
            load(scope, &over, |turn| work(place, &tally, "a", turn)),
            load(scope, &over, |turn| work(place, &tally, "b", turn)),
            load(scope, &over, |turn| attack(place, &tally, "a", turn)),
            load(scope, &over, |turn| attack(place, &tally, "b", turn)),
            load(scope, &over, |turn| build(place, &tally, turn)),
        ];
        let mut crashes = || -> Result<()> {
            for _ in 0..CRASHES {
                std::thread::sleep(Duration::from_millis(random.below(700)));
                place.lab.kill_ramgate()?;
                place.lab.start_ramgate()?;
            }
            Ok(())
        };
        let crashed = crashes();
        over.store(true, Ordering::SeqCst);
        for load in loads {
            load.join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a load panicked")))?;
        }
        crashed
    })?;
    let log = starts.log();
    ensure!(!log.contains(DENIED), "a denied image ran: {log}");
    ensure!(tally.allowed.load(Ordering::SeqCst) > 0, "{tally:?}");
    ensure!(tally.refused.load(Ordering::SeqCst) > 0, "{tally:?}");
    Ok(tally)
}

fn load<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    over: &'scope AtomicBool,
    turn: impl Fn(usize) -> Result<()> + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, Result<()>> {
    scope.spawn(move || {
        let mut turns = 0..;
        while let Some(number) = turns.next()
            && !over.load(Ordering::SeqCst)
        {
            turn(number)?;
        }
        Ok(())
    })
}

/// What is allowed, and may fail only because ramgate is gone for the moment.
fn work(place: &Place, tally: &Tally, who: &str, turn: usize) -> Result<()> {
    for line in [
        "pull alpine:3".to_owned(),
        "pull grafana/grafana:1".to_owned(),
        "run --rm --network none alpine:3 true".to_owned(),
        format!("tag grafana/grafana:1 team/tagged:{who}{turn}"),
        format!("commit base team/committed:{who}{turn}"),
        format!("run --rm --network none team/committed:{who}{turn} true"),
    ] {
        // What comes after a step that was lost rests on it.
        if !tally.count(&docker(place, &line)?)? {
            break;
        }
    }
    Ok(())
}

/// What is denied, and must fail at any time.
fn attack(place: &Place, tally: &Tally, who: &str, turn: usize) -> Result<()> {
    for line in [
        "run --rm --network none evil/tool cat /marker".to_owned(),
        "pull evil/absent".to_owned(),
        "start before".to_owned(),
        format!("tag evil/tool acme/app:{who}{turn}"),
        format!("commit before acme/committed:{who}{turn}"),
        format!("run --rm --network none team/upon:{turn} cat /marker"),
        "restart before".to_owned(),
        "create --network none evil/tool".to_owned(),
    ] {
        let output = docker(place, &line)?;
        ensure!(!output.status.success(), "{output}\nshould have failed");
        ensure!(!output.stdout.contains(DENIED), "{output}\nit ran");
        tally.refused.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// Builds, on what is allowed and on what is denied.
fn build(place: &Place, tally: &Tally, turn: usize) -> Result<()> {
    let run = |buildkit: &str, tag: &str, dockerfile: &str| {
        let command = place
            .lab
            .command("timeout")
            .env("DOCKER_BUILDKIT", buildkit);
        let tag = format!("{tag}:{turn}");
        command
            .args(["--signal=KILL", PATIENCE, "docker"])
            .args(["build", "--network", "none", "-t", &tag, "-"])
            .stdin(format!("{dockerfile}\nENV TURN={turn}\n"))
            .timeout(LIMIT)
            .run()
    };
    let buildkit = ["0", "1"].get(turn % 2).copied().unwrap_or_default();
    let own = run(buildkit, "team/built", "FROM alpine:3")?;
    let upon = run(buildkit, "team/upon", "FROM evil/tool")?;
    let absent = run(buildkit, "team/absent", "FROM evil/absent")?;
    ensure!(!absent.status.success(), "{absent}\nshould have failed");
    tally.refused.fetch_add(1, Ordering::SeqCst);
    if upon.status.success() {
        tally.built_on_denied.fetch_add(1, Ordering::SeqCst);
    }
    tally.count(&own)?;
    Ok(())
}

/// What must hold after the last crash.
fn holds(place: &Place) -> Result<()> {
    let log = place.lab.ramgate_log();
    ensure!(!log.contains("damaged"), "the ledger did not survive");
    let asked = place.lab.docker_hub().requests_under("/v2/evil/absent/");
    ensure!(asked.is_empty(), "a denied image was asked for: {asked:?}");
    let ran = docker(
        place,
        &format!(
            "ps -aq --filter label=marker={DENIED} --filter status=running --filter status=exited"
        ),
    )?
    .expect_success()?;
    ensure!(ran.stdout.is_empty(), "a denied image ran: {ran}");

    // Of all that is there now: what is denied does not run, whatever was made of it, and all else does.
    let ids = docker(place, "image ls -q --no-trunc")?
        .expect_success()?
        .stdout;
    let ids: std::collections::BTreeSet<&str> = ids.split_whitespace().collect();
    for id in ids {
        let inspect =
            format!("image inspect -f {{{{.Config.Labels.marker}}}},{{{{.RepoTags}}}} {id}");
        let image = docker(place, &inspect)?.expect_success()?.stdout;
        let run = docker(place, &format!("run --rm --network none {id} cat /marker"))?;
        if image.contains(DENIED) {
            ensure!(!run.status.success(), "{image}{run}\nshould have failed");
        } else {
            run.expect_success().with_context(|| image)?;
        }
    }
    for line in ["pull alpine:3", "pull acme/app:1", "pull grafana/grafana:1"] {
        docker(place, line)?.expect_success()?;
    }
    docker(place, "image inspect evil/absent")?.expect_failure("evil/absent")?;
    docker(place, "pull evil/absent")?.expect_failure("community images not allowed")?;
    Ok(())
}

fn docker(place: &Place, line: &str) -> Result<Output> {
    let command = place
        .lab
        .command("timeout")
        .args(["--signal=KILL", PATIENCE, "docker"]);
    command.args(line.split_whitespace()).timeout(LIMIT).run()
}

/// Another one each time, unless one is given to see a failure again.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this test is told something"
)]
fn seed() -> Result<u64> {
    match std::env::var("RAMGATE_CRASH_SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() | 1),
    }
}

/// Numbers enough for moments: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// On each of two engines.
const CRASHES: usize = 25;
/// In seconds. The docker command waits for ever where a crash took the engine's word that its container has ended; that is a step
/// lost to the crash, like one that failed.
const PATIENCE: &str = "12";
/// A little more.
const LIMIT: Duration = Duration::from_secs(30);
const ALLOWED: &str = "docker.io/library/alpine:3";
const DENIED: &str = "docker.io/evil/tool:latest";
