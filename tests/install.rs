//! `ramgate install` and `ramgate uninstall` on booted Debians and beside an engine without systemd: from nothing to enforced, and
//! back without a trace, whatever fails on the way.

#[path = "installing/failing.rs"]
mod failing;
#[path = "installing/found.rs"]
mod found;
mod installing;
#[path = "installing/rootless.rs"]
mod rootless;
#[path = "installing/rules.rs"]
mod rules;
mod steps;
#[path = "installing/strict.rs"]
mod strict;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use installing::{Site, same};
use libtest_mimic::{Arguments, Trial};
use ramgate_lab::{EngineKind, Lab, LabOptions};
use steps::Step;

/// What is done on a server.
type Act = fn(&Lab, &Site<'_>) -> Result<()>;

/// On a Debian of its own for each engine, booted with systemd: what follows, beside the others.
fn main() {
    let stores: &[EngineKind] = &EngineKind::ALL;
    let acts: [(&str, &[EngineKind], Act); 4] = [
        (
            "an installation enforces and leaves no trace",
            stores,
            |lab, site| {
                let told = the_readme_holds(site)?;
                report(&format!("{}: {told}", lab.kind()));
                lab.name_docker_hub()?;
                from_nothing_to_enforced_and_back(lab, site)?;
                the_plugin_alone_stops_no_container(lab, site, &[])
            },
        ),
        (
            "level strict reads what goes to registries",
            stores,
            |lab, site| strict::registries_are_read_and_the_engine_alone_trusts_it(lab, site),
        ),
        (
            "what is found is kept or said",
            &[EngineKind::Docker26_1],
            |lab, site| found::what_is_found_is_kept_or_said(lab, site),
        ),
        ("whatever fails is put back", &ENGINES, |lab, site| {
            failing::killed_on_its_way_it_goes_on_or_back(site)?;
            failing::whatever_fails_is_put_back(lab, site)
        }),
    ];
    let booted = acts.into_iter().flat_map(|(name, kinds, act)| {
        kinds.iter().map(move |kind| {
            let kind = *kind;
            Trial::test(format!("{name}, {kind}"), move || {
                on(kind, act).map_err(|error| format!("{error:#}").into())
            })
        })
    });
    let rebooted = [EngineKind::Docker20_10, EngineKind::Docker26_1].map(|kind| {
        let name = format!("level strict captures containers over a reboot, {kind}");
        Trial::test(name, move || {
            rules::containers_are_captured_over_a_reboot(kind)
                .map_err(|error| format!("{error:#}").into())
        })
    });
    let rootless = [EngineKind::Docker26_1, EngineKind::Docker28_5].map(|kind| {
        let name = format!("a user's own engine is set up and left, {kind}");
        Trial::test(name, move || {
            rootless::a_users_own_engine_is_set_up_and_left(kind)
                .map_err(|error| format!("{error:#}").into())
        })
    });
    let without = Trial::test("an installation without systemd uses commands", || {
        without_systemd().map_err(|error| format!("{error:#}").into())
    });
    let mut arguments = Arguments::from_args();
    // Each is mostly waiting for restarts.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    libtest_mimic::run(
        &arguments,
        booted
            .chain(rebooted)
            .chain(rootless)
            .chain([without])
            .collect(),
    )
    .exit()
}

fn on(kind: EngineKind, act: Act) -> Result<()> {
    let lab = Lab::start(kind, &LabOptions::default())?;
    installing::lay_out(&lab)?;
    let server = lab.boot()?;
    let site = Site::of_server(&server);
    let result = site
        .run("docker", &["ps"])
        .and_then(|output| output.expect_success())
        .and_then(|_| act(&lab, &site));
    result.with_context(|| installing::journals(&server))
}

/// And with the containerd store, where `hosts.toml` counts for every pull.
fn without_systemd() -> Result<()> {
    let lab = Lab::start(EngineKind::Docker28_5Containerd, &LabOptions::default())?;
    installing::put_program(&lab, installing::PROGRAM, installing::build()?.as_slice())?;
    installing::put_program(&lab, SERVICES, include_bytes!("installing/services.sh"))?;
    lab.name_docker_hub()?;
    lab.start_engine()?;
    let site = Site::of_lab(&lab);
    let result = by_commands(&lab, &site);
    result.with_context(|| lab.report())
}

fn by_commands(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let before = site.trace()?;
    let commands = [
        "--start-command=/root/services ramgate start",
        "--stop-command=/root/services ramgate stop",
        "--restart-command=/root/services dockerd start",
    ];
    let ramgate = |arguments: &[&str]| site.ramgate(&[arguments, &commands[..]].concat());
    site.ramgate(&["install", "--yes"])?
        .expect_failure("say how `ramgate serve` is started")?;
    let failing = [
        &["install", "--yes"],
        &commands[..2],
        &["--restart-command=false"],
    ]
    .concat();
    site.ramgate(&failing)?
        .expect_failure("`sh -c false` failed")?;
    same(&before, &site.trace()?).context("with an engine that is not restarted")?;
    site.run("docker", &["ps"])?.expect_success()?;

    ramgate(&["install", "--yes"])?.expect_success()?;
    installing::images_are_judged(lab, site)?;
    ramgate(&["install", "--yes", "--registry", "ghcr.io"])?.expect_success()?;
    lab.ghcr().forget();
    // The changed policy is in force when it returns.
    site.run("docker", &["pull", "ghcr.io/acme/app:1"])?
        .expect_success()?;
    let requests = lab.ghcr().requests();
    ensure!(
        requests
            .iter()
            .all(|request| !request.user_agent.starts_with("ramgate")),
        "a registry that is reached directly was asked by the mirror: {requests:?}"
    );
    // Between the two hosts files the gates are still in force for a build.
    site.shell(
        "printf 'FROM ghcr.io/acme/app:1\\nRUN true\\n' | docker buildx build --network none -",
    )?
    .expect_success()?;
    let again = ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(again.stdout.contains("there is nothing to do"), "{again}");

    ramgate(&["uninstall", "--yes", "--purge"])?.expect_success()?;
    installing::docker_is_as_it_was(lab, site)?;
    same(&before, &site.trace()?).context("an uninstallation leaves what was before")?;
    the_plugin_alone_stops_no_container(lab, site, &commands)
}

/// Where a reload is enough there is no restart, neither on the way in nor on the way out.
fn the_plugin_alone_stops_no_container(
    lab: &Lab,
    site: &Site<'_>,
    commands: &[&str],
) -> Result<()> {
    let before = site.trace()?;
    site.run("docker", &["pull", "alpine:3"])?
        .expect_success()?;
    let run = "docker run --detach --network none --name stays alpine:3 sleep 600";
    site.shell(run)?.expect_success()?;
    let started = [
        "inspect",
        "--format={{.State.StartedAt}} {{.State.Running}}",
        "stays",
    ];
    let since = site.run("docker", &started)?.expect_success()?.stdout;

    let standard = site.ramgate(&[&["install", "--dry-run"], commands].concat())?;
    ensure!(
        standard
            .stdout
            .contains("1 running container stops with it"),
        "{standard}"
    );
    let plugin = [&["install", "--yes", "--level=plugin", "--adopt"], commands].concat();
    let installed = site.ramgate(&plugin)?.expect_success()?;
    ensure!(installed.text().contains("adopted images: "), "{installed}");
    site.run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    site.run("docker", &["run", "--rm", "alpine:3", "true"])?
        .expect_success()?;
    installing::doctor_is_content(site)?;
    if commands.is_empty() {
        installing::an_upgrade_costs_no_call(lab, site)?;
    }
    let now = site.run("docker", &started)?.expect_success()?.stdout;
    ensure!(now == since && now.contains("true"), "{since} {now}");

    let away = [&["uninstall", "--yes", "--purge"], commands].concat();
    site.ramgate(&away)?.expect_success()?;
    let now = site.run("docker", &started)?.expect_success()?.stdout;
    ensure!(now == since && now.contains("true"), "{since} {now}");
    site.run("docker", &["rm", "--force", "stays"])?
        .expect_success()?;
    same(&before, &site.trace()?).context("the plugin alone leaves what was before")
}

/// As a new user would, who reads what is shown and agrees; how long it takes.
fn the_readme_holds(site: &Site<'_>) -> Result<String> {
    let (install, undo) = Step::of_section(include_str!("../README.md"), "On your server")?;
    let before = site.trace()?;
    let (mut commands, started) = (0, Instant::now());
    let (mut enforced, mut until_then) = (Duration::ZERO, 0);
    for step in install.iter().chain(&undo) {
        let lines = match step {
            Step::Commands(lines) => lines,
            Step::DaemonJson(json) => bail!("nothing is edited by hand any more: {json}"),
        };
        // What it builds is there already.
        for line in lines.iter().filter(|line| *line != "make build") {
            commands += 1;
            let output = if line.contains("ramgate") {
                // No other registries, where that is asked; and yes.
                let answers = if line.contains("uninstall") {
                    "y\n"
                } else {
                    "\ny\n"
                };
                site.on_a_terminal(&format!("cd {} && {line}", installing::CHECKOUT), answers)?
            } else {
                site.shell(line)?
            };
            if line.contains("ramgate install") {
                // Its last act is a canary that is refused.
                (enforced, until_then) = (started.elapsed(), commands);
            }
            if line.contains("# denied") {
                let words = line.split_once("denied: ").map_or("", |(_, words)| words);
                output.expect_failure(words)?;
            } else {
                output.expect_success()?;
            }
        }
    }
    ensure!(commands == 5, "{commands} commands");
    let took = started.elapsed();
    ensure!(took < MINUTE, "there and back took {took:?}");
    ensure!(!site.exists("/etc/ramgate")?, "purged, settings are left");
    same(&before, &site.trace()?).context("purged, nothing is left")?;
    let seconds = |time: Duration| time.as_secs_f64();
    Ok(format!(
        "enforced after {until_then} command beside the build, and {:.1} s; there and back with {commands}, and {:.1} s",
        seconds(enforced),
        seconds(took)
    ))
}

#[expect(clippy::print_stderr, reason = "what was measured is for who runs it")]
fn report(line: &str) {
    eprintln!("{line}");
}

fn from_nothing_to_enforced_and_back(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let before = site.trace()?;
    let shown = site.ramgate(&["install", "--dry-run"])?.expect_success()?;
    for expected in [
        "+\t\"authorization-plugins\": [\"ramgate\"]",
        "+\t\"registry-mirrors\": [\"http://127.0.0.1:5050\"]",
        "restart the engine",
    ] {
        ensure!(shown.stdout.contains(expected), "{shown}");
    }
    same(&before, &site.trace()?).context("a dry run changes nothing")?;
    site.ramgate(&["install"])?
        .expect_failure("nothing was changed; `--yes` does it without asking")?;
    same(&before, &site.trace()?).context("nobody agreed")?;

    let installed = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(
        installed.text().contains("a canary was refused"),
        "{installed}"
    );
    installing::images_are_judged(lab, site)?;
    let again = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(again.stdout.contains("there is nothing to do"), "{again}");

    installing::doctor_is_content(site)?;
    installing::an_upgrade_costs_no_call(lab, site)?;
    site.ramgate(&["install", "--yes", "--registry", "ghcr.io"])?
        .expect_success()?;
    // The changed policy is in force when it returns.
    site.run("docker", &["pull", "ghcr.io/acme/app:1"])?
        .expect_success()?;

    site.ramgate(&["uninstall", "--yes"])?.expect_success()?;
    ensure!(
        lab.read_file("/var/lib/ramgate/ledger.redb").is_err()
            || site.exists("/var/lib/ramgate")?,
        "what was learned stays"
    );
    installing::docker_is_as_it_was(lab, site)?;
    site.run("rm", &["-r", "/var/lib/ramgate", "/var/log/ramgate"])?
        .expect_success()?;
    same(&before, &site.trace()?).context("an uninstallation leaves what was before")
}

const MINUTE: Duration = Duration::from_secs(60);
const SERVICES: &str = "/root/services";
const ENGINES: [EngineKind; 3] = [
    EngineKind::Docker20_10,
    EngineKind::Docker26_1,
    EngineKind::Docker28_5,
];
