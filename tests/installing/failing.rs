//! Installations that are killed, or in which something fails, at any of their steps: of level `strict`, which has them all.

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{Lab, Output};
use serde_json::Value;

use crate::installing::{self, DAEMON_JSON, Site, same};

/// Whenever it is killed, the engine works, and the next one goes on or back.
pub(crate) fn killed_on_its_way_it_goes_on_or_back(site: &Site<'_>) -> Result<()> {
    let before = site.trace()?;
    let mut kills = 0;
    for (index, seconds) in ["0.15", "0.4", "0.9", "1.5", "3"].iter().enumerate() {
        let killed = format!(
            "timeout --signal=KILL {seconds} {} install --yes --level strict",
            installing::PROGRAM
        );
        let killed = site.shell(&killed)?;
        // One that waits for the disk dies when the disk is done, and holds the journal till then.
        site.shell(
            "lock=/var/lib/ramgate/install/lock; test ! -e $lock || flock --timeout 30 $lock true",
        )?
        .expect_success()?;
        // A machine that is fast may be done by then.
        kills += u32::from(!killed.status.success());
        site.eventually("docker", &["ps"])?;
        if index % 2 == 0 {
            site.ramgate(&["install", "--yes"])?.expect_success()?;
            site.run("docker", &["pull", "evil/tool"])?
                .expect_failure("community images not allowed")?;
        }
        // Killed early enough, it has not begun.
        if site.exists("/var/lib/ramgate/install/journal.json")? {
            site.ramgate(&["uninstall", "--yes", "--purge"])?
                .expect_success()?;
        }
        site.run("rm", &["-rf", "/var/lib/ramgate"])?
            .expect_success()?;
        site.run("docker", &["ps"])?.expect_success()?;
        same(&before, &site.trace()?).with_context(|| format!("killed after {seconds} s"))?;
    }
    ensure!(kills >= 2, "killed {kills} times");
    Ok(())
}

/// Each file's place is taken by a directory that keeps it from being written; a port that the gates need, by another; and the
/// engine is kept from starting with what it would be given.
pub(crate) fn whatever_fails_is_put_back(lab: &Lab, site: &Site<'_>) -> Result<()> {
    each_step_is_put_back(site, &STRICT, 13)?;

    a_full_or_read_only_disk_is_put_back(site)?;

    let squat = "--unit=squatter systemd-socket-activate --listen=127.0.0.1:5050 cat";
    site.shell(&format!("systemd-run --quiet {squat}"))?
        .expect_success()?;
    let result = it_is_put_back(site, &[&STRICT[..], &["--patience=5"]].concat());
    site.run("systemctl", &["stop", "squatter"])?
        .expect_success()?;
    result.context("with the mirror's port taken")?;

    let broken = "mv /usr/sbin/nft /root/nft && printf '#!/bin/sh\\ncase $1 in -f) exit 1;; esac\\nexec /root/nft \"$@\"\\n' >/usr/sbin/nft && chmod +x /usr/sbin/nft";
    site.shell(broken)?.expect_success()?;
    let result = it_is_put_back(site, &STRICT);
    site.shell("mv /root/nft /usr/sbin/nft")?.expect_success()?;
    let told = result.context("with a firewall that takes no rules")?;
    let advice = "the firewall does not take the rules: `journalctl";
    ensure!(told.text().contains(advice), "{told}");

    let check = "/etc/systemd/system/docker.service.d/check.conf";
    lab.write_file(
        check,
        "[Service]\nExecStartPre=/bin/sh -c '! grep -q ramgate /etc/docker/daemon.json'\n",
    )?;
    site.run("systemctl", &["daemon-reload"])?
        .expect_success()?;
    it_is_put_back(site, &[&STRICT[..], &["--patience=20"]].concat())
        .context("with an engine that does not start")?;
    lab.remove_file(check)?;

    let elsewhere = "/etc/systemd/system/docker.service.d/zz-elsewhere.conf";
    lab.write_file(elsewhere, "[Service]\nEnvironment=SSL_CERT_DIR=/nowhere\n")?;
    site.run("systemctl", &["daemon-reload"])?
        .expect_success()?;
    it_is_put_back(site, &STRICT).context("with an engine that reads certificates elsewhere")?;
    lab.remove_file(elsewhere)?;

    let options = lab.read_file("/etc/default/docker").unwrap_or_default();
    lab.write_file(
        "/etc/default/docker",
        format!("{options}\nDOCKER_OPTS=\"--registry-mirror=https://mirror.example\"\n"),
    )?;
    site.ramgate(&["install", "--yes"])?
        .expect_failure("dockerd is started with `--registry-mirror=https://mirror.example`")?;
    lab.write_file("/etc/default/docker", options)?;
    lab.write_file(DAEMON_JSON, "{ \"debug\": false } // mine\n")?;
    site.ramgate(&["install", "--yes"])?
        .expect_failure("line 1: there is a comment")?;
    Ok(())
}

fn a_full_or_read_only_disk_is_put_back(site: &Site<'_>) -> Result<()> {
    for (what, mount, directory) in [
        ("no space", "tmpfs tmpfs -o size=64k", "/etc/docker"),
        (
            "no leave to write",
            "none /etc/docker -o bind,ro",
            "/etc/docker",
        ),
        (
            "no space for the journal",
            "tmpfs tmpfs -o size=64k",
            "/var/lib/ramgate",
        ),
    ] {
        // With what was there before.
        site.shell(&format!(
            "mkdir -p {directory} && cp -a {directory} /tmp/copy && mount -t {mount} {directory} && (cp -a /tmp/copy/. {directory}; head -c 1M /dev/zero >{directory}/filler; true)"
        ))?
        .expect_success()?;
        let result = it_is_put_back(site, &STRICT);
        site.shell(&format!(
            "umount {directory} && rm -r /tmp/copy && rmdir --ignore-fail-on-non-empty {directory}"
        ))?
        .expect_success()?;
        result.with_context(|| format!("with {what} in {directory}"))?;
    }
    Ok(())
}

/// Each path of the plan is kept from being written, one after the other; there are `least` of them.
pub(crate) fn each_step_is_put_back(site: &Site<'_>, install: &[&str], least: usize) -> Result<()> {
    let plan = [install, &["--dry-run", "--json"]].concat();
    let plan = site.ramgate(&plan)?.expect_success()?;
    let plan: Value = serde_json::from_str(&plan.stdout)?;
    let steps = plan.get("steps").and_then(Value::as_array);
    let steps = steps.context("no steps")?;
    ensure!(steps.len() >= least, "{plan:#}");
    for step in steps {
        let path = step.get("path").and_then(Value::as_str);
        let path = path.context("no path")?;
        let (folder, name) = path.rsplit_once('/').context("no folder")?;
        let obstacle = format!("{folder}/.{name}.ramgate-new");
        site.run("mkdir", &["--parents", &obstacle])?
            .expect_success()?;
        let result = it_is_put_back(site, install);
        let clear = ["--parents", "--ignore-fail-on-non-empty", &obstacle];
        site.run("rmdir", &clear)?.expect_success()?;
        result.with_context(|| format!("with {obstacle} in the way"))?;
    }
    Ok(())
}

fn it_is_put_back(site: &Site<'_>, install: &[&str]) -> Result<Output> {
    let before = site.trace()?;
    let told = site
        .ramgate(&[install, &["--yes"]].concat())?
        .expect_failure("everything is as it was before")?;
    same(&before, &site.trace()?)?;
    site.run("docker", &["ps"])?.expect_success()?;
    let user: &[&str] = if install.contains(&"--rootless") {
        &["--user"]
    } else {
        &[]
    };
    let asked = [user, &["is-active", "ramgate.service"]].concat();
    site.run("systemctl", &asked)?.expect_failure("inactive")?;
    Ok(told)
}

const STRICT: [&str; 2] = ["install", "--level=strict"];
