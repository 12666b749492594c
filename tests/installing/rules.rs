//! Level `strict` for containers: the firewall sends what they fetch by themselves to the network gate, at each start of the host.

use anyhow::{Context as _, Result, bail, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions, Server};

use crate::installing::{self, Site, same};

/// Set up, kept over restarts of everything, there after a reboot before the engine, and gone without a trace.
pub(crate) fn containers_are_captured_over_a_reboot(kind: EngineKind) -> Result<()> {
    let lab = Lab::start(kind, &LabOptions::default())?;
    installing::lay_out(&lab)?;
    let server = lab.boot()?;
    let site = Site::of_server(&server);
    let before = site.trace()?;
    let result = set_up(&lab, &site);
    let others = result.with_context(|| journals(&server))?;
    drop(site);
    drop(server);

    // The network is the lab's and outlives the server; a real one starts empty.
    lab.run("nft", &["flush", "ruleset"])?.expect_success()?;
    lab.run("ip", &["link", "delete", "docker0"])?
        .expect_success()?;
    // Where the engine finds it on, it leaves the policy of forwarding alone.
    lab.run("sysctl", &["--quiet", "--write", "net.ipv4.ip_forward=0"])?
        .expect_success()?;
    let server = lab.boot().context("after a reboot")?;
    let site = Site::of_server(&server);
    let result = after_a_reboot(&lab, &site, &others).and_then(|()| gone(&lab, &site, &before));
    result.with_context(|| journals(&server))
}

/// What others have in the firewall.
fn set_up(lab: &Lab, site: &Site<'_>) -> Result<String> {
    site.run("docker", &["pull", "alpine:3"])?
        .expect_success()?;
    ensure!(a_container_reaches_out(lab, site)?, "without ramgate");
    let others = rules_of_others(site)?;
    ensure!(
        others.contains("DOCKER"),
        "no rules of the engine's: {others}"
    );

    site.shell("mv /usr/sbin/nft /root/nft")?.expect_success()?;
    site.ramgate(&["install", "--yes", "--level=strict"])?
        .expect_failure("install the package `nftables`, or use `--level standard`")?;
    site.shell("mv /root/nft /usr/sbin/nft")?.expect_success()?;

    let install = ["install", "--yes", "--level=strict", "--adopt"];
    let told = site.ramgate(&install)?.expect_success()?;
    for expected in [
        "+table inet ramgate {",
        "then: send what containers fetch by themselves to the network gate",
    ] {
        ensure!(told.stdout.contains(expected), "{told}");
    }
    captured(lab, site).context("installed")?;
    same(&others, &rules_of_others(site)?).context("the engine's rules, installed")?;
    let again = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(again.stdout.contains("there is nothing to do"), "{again}");
    for unit in ["ramgate", "docker"] {
        site.run("systemctl", &["restart", unit])?
            .expect_success()?;
        captured(lab, site).with_context(|| format!("after a restart of {unit}"))?;
    }
    installing::an_upgrade_costs_no_call(lab, site)?;
    captured(lab, site).context("after an upgrade")?;
    same(&others, &rules_of_others(site)?).context("the engine's rules, after restarts")?;
    Ok(others)
}

fn after_a_reboot(lab: &Lab, site: &Site<'_>, others: &str) -> Result<()> {
    site.run("docker", &["ps"])?.expect_success()?;
    captured(lab, site)?;
    same(others, &rules_of_others(site)?).context("the engine's rules, after a reboot")?;
    let since = |unit: &str, property: &str| -> Result<u64> {
        let property = format!("--property={property}");
        let shown = site.run("systemctl", &["show", "--value", &property, unit])?;
        Ok(shown.stdout.trim().parse()?)
    };
    let rules = since("ramgate-nft", "ActiveEnterTimestampMonotonic")?;
    let engine = since("docker", "ExecMainStartTimestampMonotonic")?;
    ensure!(
        rules > 0 && rules < engine,
        "the engine started at {engine} us, and the rules were in force at {rules} us"
    );
    installing::doctor_is_content(site)?;

    // As `systemctl reload nftables` of Debian does with its own configuration, or somebody by hand.
    site.run("nft", &["delete", "table", "inet", "ramgate"])?
        .expect_success()?;
    let ramgate = |arguments: &[&str]| site.run("/usr/local/bin/ramgate", arguments);
    ramgate(&["status"])?.expect_failure("DOES NOT SEND what containers fetch")?;
    ramgate(&["doctor"])?.expect_failure("goes past the network gate")?;
    let mended = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(!mended.text().contains("restarting the engine"), "{mended}");
    captured(lab, site).context("mended")
}

fn gone(lab: &Lab, site: &Site<'_>, before: &str) -> Result<()> {
    let told = site
        .ramgate(&["uninstall", "--yes", "--purge"])?
        .expect_success()?;
    ensure!(
        told.stdout.contains("take the firewall's rules out"),
        "{told}"
    );
    ensure!(a_container_reaches_out(lab, site)?, "uninstalled");
    site.run("systemctl", &["is-active", "ramgate-nft.service"])?
        .expect_failure("inactive")?;
    same(before, &site.trace()?).context("uninstalled, nothing is left")
}

/// The rules are in force, which all who are asked say, and what a container opens by itself arrives nowhere.
fn captured(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let table = site.run("nft", &["list", "table", "inet", "ramgate"])?;
    let table = table.expect_success()?;
    ensure!(table.stdout.contains("redirect to :5054"), "{table}");
    ensure!(
        !a_container_reaches_out(lab, site)?,
        "it went past the gate"
    );
    let status = site
        .run("/usr/local/bin/ramgate", &["status"])?
        .expect_success()?;
    let said = "firewall  sends what containers fetch to the network gate";
    ensure!(status.stdout.contains(said), "{status}");
    Ok(())
}

/// Whether a connection from a container arrives out there: of what is no TLS, to an address.
fn a_container_reaches_out(lab: &Lab, site: &Site<'_>) -> Result<bool> {
    lab.denied_host().forget();
    let address = "10.231.0.12";
    let script = format!("echo hello | nc -w 2 {address} 443; true");
    let run = ["run", "--rm", "alpine:3", "sh", "-c", &script];
    for _ in 0..10 {
        let told = site.run("docker", &run)?;
        if told.status.success() {
            return Ok(lab.denied_host().connections() > 0);
        }
        // An engine that has just been restarted.
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    bail!("no container runs: {}", site.run("docker", &run)?)
}

/// All rules but ramgate's, without what they have counted. Sorted: an engine that is restarted has its own in another order.
fn rules_of_others(site: &Site<'_>) -> Result<String> {
    let listed = site.shell(
        "nft list ruleset | awk '/^table inet ramgate/ { skip = 1 } !skip; /^}/ { skip = 0 }' |
         sed -E 's/packets [0-9]+ bytes [0-9]+//' | sort",
    )?;
    Ok(listed.expect_success()?.stdout)
}

fn journals(server: &Server<'_>) -> String {
    let rules = server.journal("ramgate-nft").unwrap_or_default();
    format!("{}---- ramgate-nft\n{rules}", installing::journals(server))
}
