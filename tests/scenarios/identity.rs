//! Images by what they are: other names, archives, commits and builds do not make another image of a denied one.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{Builder, Lab};
use serde_json::{Value, json};

use super::place::{COMMUNITY, Place, policy_with};

/// Ways to make a denied image look like something else, each while it is allowed; then it is denied.
pub(super) fn laundering(place: &Place) -> Result<()> {
    let open = json!({ "version": 1, "local-images": {
        "build": "allow", "load": "allow", "import": "allow", "commit": "allow", "unknown": "allow",
    } });
    place.policy(&open)?;
    let done = |arguments: &[&str]| place.docker(arguments)?.expect_success();
    done(&["pull", "evil/tool"])?;
    done(&["tag", "evil/tool", "acme/tagged:1"])?;
    done(&[
        "create",
        "--name",
        "evil",
        "--network",
        "none",
        "evil/tool",
        "true",
    ])?;
    done(&["commit", "evil", "acme/committed:1"])?;
    done(&["save", "-o", "/tmp/evil.tar", "evil/tool"])?;
    for builder in Builder::ALL {
        let tag = format!("acme/built-{builder:?}:1").to_lowercase();
        let dockerfile = "FROM evil/tool\nRUN echo x > /x\n";
        place
            .lab
            .build(builder, &tag, dockerfile)?
            .expect_success()?;
    }
    let again = "FROM acme/committed:1\nLABEL a=b\n";
    place
        .lab
        .build(Builder::Classic, "acme/upon:1", again)?
        .expect_success()?;
    done(&["rmi", "-f", "evil/tool", "acme/tagged:1"])?;
    done(&["load", "-i", "/tmp/evil.tar"])?;
    done(&["tag", "evil/tool", "acme/loaded:1"])?;

    place.policy(&policy_with(
        "local-images",
        json!({ "build": "allow", "load": "allow", "import": "allow", "commit": "allow" }),
    ))?;
    for image in [
        "acme/loaded:1",
        "acme/committed:1",
        "acme/built-buildkit:1",
        "acme/built-classic:1",
        "acme/upon:1",
    ] {
        let refused = place
            .docker(&["run", "--rm", "--network", "none", image, "true"])?
            .expect_failure(COMMUNITY)?;
        ensure!(
            refused.text().contains(&format!("`{image}` is image")),
            "{refused}"
        );
        place
            .docker(&["tag", image, "acme/again:1"])?
            .expect_failure(COMMUNITY)?;
    }
    place
        .docker(&["start", "evil"])?
        .expect_failure(COMMUNITY)?;

    // A file system without its history is what `local-images.import` says.
    place.policy(&open)?;
    done(&["export", "-o", "/tmp/evil-root.tar", "evil"])?;
    done(&["import", "/tmp/evil-root.tar", "acme/imported:1"])?;
    place.policy(&Lab::policy())?;
    place
        .docker(&["create", "acme/imported:1", "/bin/busybox"])?
        .expect_failure("importing images has been restricted")?;
    Ok(())
}

/// What is built here is this host's own, whatever it is called.
pub(super) fn own_images(place: &Place) -> Result<()> {
    for builder in Builder::ALL {
        place
            .lab
            .build(builder, "team/tool", "FROM alpine:3\nRUN echo own > /own\n")?
            .expect_success()?;
        let run = [
            "run",
            "--rm",
            "--network",
            "none",
            "team/tool",
            "cat",
            "/own",
        ];
        place.docker(&run)?.expect_success()?;
        let shown = ledger(place, &["show", "team/tool", "--json"])?;
        ensure!(way(&shown) == "build", "{shown}");
        let base = shown.get("base").map(Value::to_string).unwrap_or_default();
        ensure!(
            base.contains("library/alpine") || base.contains("sha256:"),
            "{shown}"
        );
        place
            .docker(&["rmi", "-f", "team/tool"])?
            .expect_success()?;
    }
    place
        .docker(&["pull", "team/tool"])?
        .expect_failure("community images not allowed: docker.io/team/tool")?;
    Ok(())
}

/// Images that came while nobody watched are unknown, until somebody vouches for them.
pub(super) fn unwatched(place: &Place) -> Result<()> {
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    place
        .docker(&[
            "create",
            "--name",
            "box",
            "--network",
            "none",
            "alpine:3",
            "true",
        ])?
        .expect_success()?;
    place.lab.stop_ramgate()?;
    place.without_plugin(|| {
        let import = "docker export box | docker import - acme/before:1";
        place.lab.run("sh", &["-c", import])?.expect_success()
    })?;
    place.lab.start_ramgate()?;
    place.lab.start_engine()?;
    let run = [
        "run",
        "--rm",
        "--network",
        "none",
        "acme/before:1",
        "/bin/true",
    ];
    place
        .docker(&run)?
        .expect_failure("using images of unknown origin has been restricted")?
        .expect_failure("ramgate ledger adopt")?;
    ledger(place, &["adopt", "--own", "acme/before:1", "--json"])?;
    place.docker(&run)?.expect_success()?;
    let shown = ledger(place, &["show", "acme/before:1", "--json"])?;
    ensure!(way(&shown) == "adopt", "{shown}");

    // Forgotten, it is unknown again, and stays so.
    let id = shown.get("id").and_then(Value::as_str).context("an ID")?;
    ledger(place, &["forget", id, "--json"])?;
    let unknown = "using images of unknown origin has been restricted";
    place.docker(&run)?.expect_failure(unknown)?;
    place.lab.stop_ramgate()?;
    place.lab.start_ramgate()?;
    place.docker(&run)?.expect_failure(unknown)?;

    // The event of a commit tells a label of the container for the ID of the image that was made.
    let label = format!("imageID={id}");
    let forger = ["create", "--name", "forger", "--label", &label, "alpine:3"];
    place.docker(&forger)?.expect_success()?;
    place
        .docker(&["commit", "forger", "acme/forged:1"])?
        .expect_success()?;
    place.docker(&run)?.expect_failure(unknown)?;
    Ok(())
}

/// A container that no request was allowed for is found, and stopped if the policy says so.
pub(super) fn watched(place: &Place) -> Result<()> {
    place.policy(&json!({ "version": 1 }))?;
    place.docker(&["pull", "evil/tool"])?.expect_success()?;
    for (mode, running) in [("report", "true"), ("stop", "false")] {
        place.policy(&policy_with("watch", json!(mode)))?;
        let before = place.audited("denied image runs")?;
        place.without_plugin(|| {
            let name = format!("past-{mode}");
            let run = [
                "run",
                "-d",
                "--name",
                &name,
                "--network",
                "none",
                "evil/tool",
                "sleep",
                "60",
            ];
            place.docker(&run)?.expect_success()?;
            let started = Instant::now();
            while place.audited("denied image runs")? == before || place.running(&name)? != running
            {
                ensure!(
                    started.elapsed() < Duration::from_secs(10),
                    "{mode}: nothing was done"
                );
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        })?;
        place.lab.start_engine()?;
        place.clear_containers()?;
    }
    Ok(())
}

/// An engine starts containers before it can be asked, and before anybody can watch it.
pub(super) fn started_with_the_engine(place: &Place) -> Result<()> {
    place.policy(&json!({ "version": 1 }))?;
    let run = [
        "run",
        "-d",
        "--name",
        "always",
        "--restart",
        "always",
        "--network",
        "none",
        "evil/tool",
        "sleep",
        "600",
    ];
    place.docker(&run)?.expect_success()?;
    place.policy(&policy_with("watch", json!("stop")))?;
    ensure!(place.running("always")? == "true", "what runs, runs on");
    let before = place.audited("denied image runs")?;
    place.lab.restart_engine()?;
    let started = Instant::now();
    while place.audited("denied image runs")? == before || place.running("always")? != "false" {
        ensure!(
            started.elapsed() < Duration::from_secs(10),
            "nothing was done"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// What was started while nobody watched is found though the engine has long forgotten its event; what runs since better days is
/// left alone.
pub(super) fn started_while_down(place: &Place) -> Result<()> {
    place.policy(&json!({ "version": 1 }))?;
    let run = |name: &str| {
        let run = ["run", "-d", "--name", name, "--network", "none"];
        let run = [&run[..], &["evil/tool", "sleep", "600"]].concat();
        place.docker(&run)?.expect_success()
    };
    place.docker(&["pull", "evil/tool"])?.expect_success()?;
    place.policy(&policy_with("watch", json!("stop")))?;
    place.without_plugin(|| {
        // While it is allowed, as the watch sees it.
        place.policy(&json!({ "version": 1 }))?;
        run("before")?;
        std::thread::sleep(Duration::from_secs(2));
        place.policy(&policy_with("watch", json!("stop")))?;

        place.lab.kill_ramgate()?;
        run("meanwhile")?;
        // dockerd remembers 256.
        let forget = "for number in $(seq 270); do docker volume create v$number; done \
                      && docker volume rm $(docker volume ls -q) >/dev/null";
        place.lab.run("sh", &["-c", forget])?.expect_success()?;
        let before = place.audited("denied image runs")?;
        place.lab.start_ramgate()?;
        let started = Instant::now();
        while place.running("meanwhile")? != "false" {
            ensure!(
                started.elapsed() < Duration::from_secs(10),
                "nothing was done"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(place.audited("denied image runs")? == before + 1);
        ensure!(place.running("before")? == "true", "what runs, runs on");
        let metrics = place
            .lab
            .curl(&["--fail", "http://127.0.0.1:5053/metrics"])?;
        let metrics = metrics.expect_success()?.stdout;
        ensure!(
            metrics.contains("ramgate_plugin_watch_findings_total{reaction=\"stopped\"} 1"),
            "{metrics}"
        );
        Ok(())
    })?;
    place.lab.start_engine()
}

/// A ledger that is damaged or gone is made anew, from what the engine and the mirror can prove.
pub(super) fn lost_ledger(place: &Place) -> Result<()> {
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    place.lab.stop_ramgate()?;
    place.lab.write_file(LEDGER, "this is no ledger")?;
    place.lab.start_ramgate()?;
    ensure!(place.lab.ramgate_log().contains("the ledger was damaged"));
    let run = ["run", "--rm", "--network", "none", "alpine:3", "true"];
    let first = place.docker(&run)?;
    if place.lab.kind().has_containerd_store() {
        // There the engine proves nothing, and the mirror's sightings were in the ledger.
        first.expect_failure("using images of unknown origin")?;
        place.docker(&["pull", "alpine:3"])?.expect_success()?;
        place.docker(&run)?.expect_success()?;
    } else {
        first.expect_success()?;
    }

    // What the mirror serves from its store, it tells the new ledger of.
    place.clear()?;
    place
        .docker(&["builder", "prune", "-af"])?
        .expect_success()?;
    let dockerfile = "FROM alpine:3\nRUN echo own > /own\n";
    place
        .lab
        .build(Builder::BuildKit, "team/tool", dockerfile)?
        .expect_success()?;
    let shown = ledger(place, &["show", "team/tool", "--json"])?;
    let base = shown.get("base").map(Value::to_string).unwrap_or_default();
    ensure!(base.contains("library/alpine"), "{shown}");
    Ok(())
}

fn way(entry: &Value) -> &str {
    let way = entry.get("way").and_then(Value::as_str);
    way.unwrap_or_default()
}

/// The first entry that `ramgate ledger` answers with.
fn ledger(place: &Place, arguments: &[&str]) -> Result<Value> {
    let output = place
        .lab
        .command("ramgate")
        .args(["ledger"])
        .args(arguments)
        .run()?
        .expect_success()?;
    let entries: Vec<Value> = serde_json::from_str(&output.stdout)?;
    entries.into_iter().next().context("no entry")
}

const LEDGER: &str = "/var/lib/ramgate/ledger.redb";
