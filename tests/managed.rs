//! As a managed plugin: the steps of `docs/install.md`, as they are written there, on every engine, and what they promise.

mod steps;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions};
use steps::Step;

#[test]
fn the_managed_plugin_holds_the_policy_on_20_10() -> Result<()> {
    the_managed_plugin_holds_the_policy(EngineKind::Docker20_10)
}

#[test]
fn the_managed_plugin_holds_the_policy_on_26_1() -> Result<()> {
    the_managed_plugin_holds_the_policy(EngineKind::Docker26_1)
}

#[test]
fn the_managed_plugin_holds_the_policy_on_28_5() -> Result<()> {
    the_managed_plugin_holds_the_policy(EngineKind::Docker28_5)
}

#[test]
fn the_managed_plugin_holds_the_policy_on_28_5_with_the_containerd_store() -> Result<()> {
    the_managed_plugin_holds_the_policy(EngineKind::Docker28_5Containerd)
}

fn the_managed_plugin_holds_the_policy(kind: EngineKind) -> Result<()> {
    let plugin = PLUGIN.as_deref().map_err(|error| anyhow!("{error}"))?;
    let (install, undo) = Step::of_section(INSTRUCTIONS, "As a managed plugin")?;
    ensure!(
        install.len() == 5 && undo.len() == 1,
        "{install:?} {undo:?}"
    );
    let lab = Lab::start(kind, &LabOptions::default())?;
    lay_out(&lab, plugin)?;
    lab.serve_docker_hubs_names_by_dns()?;
    lab.start_engine()?;

    let result = install
        .iter()
        .try_for_each(|step| follow(step, &lab))
        .and_then(|()| images_are_judged(&lab))
        .and_then(|()| a_new_policy_is_taken(&lab))
        .and_then(|()| what_it_keeps_is_on_the_host(&lab))
        .and_then(|()| it_is_not_taken_away(&lab))
        .and_then(|()| ended_it_is_started_again(&lab))
        .and_then(|()| lab.restart_engine())
        .and_then(|()| images_are_judged(&lab))
        .and_then(|()| lab.configure_engine(&serde_json::json!({})))
        .and_then(|()| undo.iter().try_for_each(|step| follow(step, &lab)))
        .and_then(|()| docker_is_as_it_was(&lab))
        .and_then(|()| other_places_can_be_given(&lab));
    result.with_context(|| lab.report())
}

/// A checkout in which the plugin is built.
fn lay_out(lab: &Lab, plugin: &Path) -> Result<()> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let drop_in = "packaging/docker.service.d/ramgate.conf";
    let content = std::fs::read(checkout.join(drop_in))?;
    lab.write_file(&format!("{CHECKOUT}/{drop_in}"), content)?;
    lab.name_docker_hub()?;
    let built = lab.path(&format!("{CHECKOUT}/target"));
    std::fs::create_dir_all(&built)?;
    let copied = Command::new("cp")
        .arg("--archive")
        .args([plugin, &built.join("plugin")])
        .status()?;
    ensure!(copied.success(), "the plugin was not copied: {copied}");
    Ok(())
}

fn follow(step: &Step, lab: &Lab) -> Result<()> {
    match step {
        Step::DaemonJson(json) => lab.configure_engine(&serde_json::from_str(json)?),
        Step::Commands(lines) => lines.iter().try_for_each(|line| match line.as_str() {
            // It is there already.
            "make plugin" => Ok(()),
            // Here, the lab is what systemd is on a server.
            "systemctl daemon-reload" => read_drop_in(lab),
            "systemctl restart docker" => lab.restart_engine(),
            _ => {
                let script = format!("cd {CHECKOUT} && {line}");
                lab.run("bash", &["-c", &script])?.expect_success()?;
                Ok(())
            }
        }),
    }
}

fn read_drop_in(lab: &Lab) -> Result<()> {
    let unit = lab.read_file(DROP_IN).unwrap_or_default();
    let environment: Vec<(&str, &str)> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment=")?.split_once('='))
        .collect();
    lab.set_engine_environment(&environment);
    Ok(())
}

fn images_are_judged(lab: &Lab) -> Result<()> {
    lab.upstreams()
        .iter()
        .for_each(|upstream| upstream.forget());
    // By way of the mirror, which finds Docker Hub by DNS and trusts it as the host does.
    lab.docker(&["rmi", "-f", "alpine:3"])?;
    lab.docker(&["pull", "alpine:3"])?.expect_success()?;
    lab.docker(&["run", "--rm", "--net=none", "alpine:3", "true"])?
        .expect_success()?;
    let denied = lab.docker(&["pull", "evil/tool"])?;
    denied
        .expect_failure("authorization denied by plugin ramgate:latest: image access denied")?
        .expect_failure("community images not allowed")?;
    lab.docker(&["pull", "ghcr.io/acme/app:1"])?
        .expect_failure("Access to ghcr.io has been restricted by your administrators")?;
    let requests = lab.docker_hub().requests();
    ensure!(
        requests
            .iter()
            .all(|request| request.user_agent.starts_with("ramgate")),
        "the engine went to Docker Hub itself: {requests:?}"
    );
    ensure!(lab.ghcr().connections() == 0, "ghcr.io was reached");
    Ok(())
}

/// The directory is mounted into the plugin: a file that replaces another in it is seen.
fn a_new_policy_is_taken(lab: &Lab) -> Result<()> {
    // By way of the network gate, which finds this name in the host's `/etc/hosts`.
    let url = format!("http://files.example{}", Lab::FILE);
    let fetch = || lab.curl(&["--fail", "--proxy", "http://127.0.0.1:5051", &url]);
    fetch()?.expect_failure("403")?;
    let mut policy: serde_json::Value = serde_json::from_str(&lab.read_file(POLICY)?)?;
    let egress = serde_json::json!({ "hosts": ["files.example"] });
    let keys = policy.as_object_mut().context("the policy is no object")?;
    keys.insert("egress".to_owned(), egress);
    lab.write_policy(&policy)?;
    let fetched = soon(|| fetch()?.expect_success())?;
    ensure!(fetched.stdout == "hello from files.example\n", "{fetched}");
    Ok(())
}

fn what_it_keeps_is_on_the_host(lab: &Lab) -> Result<()> {
    let audit = lab.read_file("/var/log/ramgate/audit.jsonl")?;
    for (repository, decision) in [("library/alpine", "allow"), ("evil/tool", "deny")] {
        let found = audit.lines().any(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            let has = |key: &str, value: &str| line.get(key).is_some_and(|found| found == value);
            has("repository", repository) && has("decision", decision) && has("gate", "plugin")
        });
        ensure!(found, "no line says {decision} of {repository}: {audit}");
    }
    // The command on the host asks the ramgate in the plugin.
    let ledger = lab.run("ramgate", &["ledger", "list"])?.expect_success()?;
    ensure!(ledger.stdout.contains("library/alpine"), "{ledger}");
    Ok(())
}

fn it_is_not_taken_away(lab: &Lab) -> Result<()> {
    let listed = lab.docker(&["plugin", "ls", "--no-trunc", "--quiet"])?;
    let listed = listed.expect_success()?.stdout;
    let id = listed.trim_end();
    let start = id.get(..2).context("the plugin has no ID")?;
    for command in [
        ["disable", "--force", "ramgate"].as_slice(),
        &["disable", "ramgate:latest"],
        &["disable", "docker.io/library/ramgate"],
        &["disable", "--force", id],
        &["disable", "--force", start],
        &["rm", "--force", "ramgate"],
        &["rm", "--force", id],
        &["set", "ramgate", "policy.source=/tmp"],
        &["set", start, "policy.source=/tmp"],
    ] {
        let arguments: Vec<&str> = ["plugin"].iter().chain(command).copied().collect();
        lab.docker(&arguments)?
            .expect_failure("authorization denied by plugin ramgate:latest: ")?;
    }
    Ok(())
}

/// As after a change of the settings, or a crash. What is asked meanwhile may fail, and is never let through.
fn ended_it_is_started_again(lab: &Lab) -> Result<()> {
    let pid = || -> Result<String> {
        let found = lab.run("pgrep", &["-x", "ramgate"])?;
        Ok(found.expect_success()?.stdout)
    };
    let before = pid()?;
    lab.run("pkill", &["-x", "ramgate"])?.expect_success()?;
    soon(|| {
        let now = pid()?;
        ensure!(now != before, "{now} is still there");
        images_are_judged(lab)
    })
}

fn docker_is_as_it_was(lab: &Lab) -> Result<()> {
    let plugins = lab.docker(&["plugin", "ls", "--quiet"])?.expect_success()?;
    ensure!(plugins.stdout.is_empty(), "{plugins}");
    lab.docker(&["pull", "ghcr.io/other/thing:1"])?
        .expect_success()?;
    ensure!(lab.ghcr().connections() > 0, "ghcr.io was not asked");
    Ok(())
}

fn other_places_can_be_given(lab: &Lab) -> Result<()> {
    let plugin = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["plugin"].iter().chain(arguments).copied().collect();
        lab.docker(&arguments)
    };
    let built = format!("{CHECKOUT}/target/plugin");
    plugin(&["create", "ramgate", &built])?.expect_success()?;
    plugin(&["set", "ramgate", "log.source=/srv/log"])?.expect_success()?;
    plugin(&["enable", "ramgate"])?.expect_failure("/srv/log")?;
    lab.run("mkdir", &["/srv/log"])?.expect_success()?;
    plugin(&["enable", "ramgate"])?.expect_success()?;
    let url = "http://127.0.0.1:5050/v2/evil/tool/manifests/latest";
    lab.curl(&["--fail", url])?.expect_failure("403")?;
    soon(|| {
        let audit = lab.read_file("/srv/log/audit.jsonl")?;
        ensure!(audit.contains("evil/tool"), "{audit}");
        Ok(())
    })
}

/// Tries until it succeeds, for a while.
fn soon<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        let result = attempt();
        if result.is_ok() || started.elapsed() > Duration::from_secs(10) {
            return result;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What `make plugin` makes, of what is under test.
fn make_plugin() -> Result<PathBuf> {
    let plugin = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .context("cargo has no target directory")?;
    let mut make = Command::new("make");
    make.args(["--directory", env!("CARGO_MANIFEST_DIR"), "plugin"])
        .arg("PROFILE=dev")
        .arg(format!("PLUGIN={}", plugin.display()))
        .env("CARGO_TARGET_DIR", target)
        .env_remove("MAKEFLAGS"); // of the make that runs the tests
    // What cargo tells the tests of their package, build scripts would take for a change.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_MANIFEST_") || told.starts_with("CARGO_PKG_") {
            make.env_remove(name);
        }
    }
    let made = make.output()?;
    let told = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "`make plugin` failed:\n{told}");
    Ok(plugin)
}

static PLUGIN: LazyLock<Result<PathBuf, String>> =
    LazyLock::new(|| make_plugin().map_err(|error| format!("{error:#}")));
const INSTRUCTIONS: &str = include_str!("../docs/install.md");
const CHECKOUT: &str = "/root/ramgate";
const DROP_IN: &str = "/etc/systemd/system/docker.service.d/ramgate.conf";
const POLICY: &str = "/etc/ramgate/policy.json";
