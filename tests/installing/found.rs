//! What an installation finds on a host that is not as it should be, or that changes under it.

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::Lab;

use crate::installing::{DAEMON_JSON, PROGRAM, Site, same};

/// One after the other, each leaving the host as it was.
pub(crate) fn what_is_found_is_kept_or_said(lab: &Lab, site: &Site<'_>) -> Result<()> {
    type Act = fn(&Lab, &Site<'_>) -> Result<()>;
    let acts: [(&str, Act); 6] = [
        ("an immutable daemon.json", immutable),
        ("a linked daemon.json, with line ends of Windows", linked),
        ("an engine that does not run", stopped),
        ("two installations at once", two_at_once),
        ("a daemon.json that is edited afterwards", edited_afterwards),
        ("what keeps dockerd from starting", refused),
    ];
    for (name, act) in acts {
        let before = site.trace()?;
        act(lab, site).context(name)?;
        same(&before, &site.trace()?).context(name)?;
        site.run("docker", &["ps"])?
            .expect_success()
            .context(name)?;
    }
    Ok(())
}

fn immutable(lab: &Lab, site: &Site<'_>) -> Result<()> {
    lab.set_immutable(DAEMON_JSON, true)?;
    let told = site.ramgate(&["install", "--yes"]);
    lab.set_immutable(DAEMON_JSON, false)?;
    let told = told?.expect_failure("everything is as it was before")?;
    for word in [DAEMON_JSON, "`chattr -i` ends it"] {
        ensure!(told.text().contains(word), "{told}");
    }
    Ok(())
}

fn linked(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let own = lab.read_file(DAEMON_JSON)?;
    let real = "/srv/docker/daemon.json";
    lab.write_file(real, "{\r\n\t\"debug\": false\r\n}\r\n")?;
    let link = format!("mv {DAEMON_JSON} /srv/own && ln -s {real} {DAEMON_JSON}");
    site.shell(&link)?.expect_success()?;
    let before = site.trace()?;
    site.ramgate(&["install", "--yes", "--level=plugin"])?
        .expect_success()?;
    let now = lab.read_file(real)?;
    let expected =
        "{\r\n\t\"debug\": false,\r\n\t\"authorization-plugins\": [\"ramgate\"]\r\n}\r\n";
    ensure!(now == expected, "{now:?}");
    site.run("test", &["-L", DAEMON_JSON])?.expect_success()?;
    site.run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    site.ramgate(&["uninstall", "--yes", "--purge"])?
        .expect_success()?;
    let now = lab.read_file(real)?;
    ensure!(now == "{\r\n\t\"debug\": false\r\n}\r\n", "{now:?}");
    same(&before, &site.trace()?)?;
    site.shell(&format!("mv /srv/own {DAEMON_JSON} && rm -r /srv/docker"))?
        .expect_success()?;
    ensure!(lab.read_file(DAEMON_JSON)? == own);
    Ok(())
}

fn stopped(_: &Lab, site: &Site<'_>) -> Result<()> {
    let stop = ["stop", "docker.socket", "docker.service"];
    site.run("systemctl", &stop)?.expect_success()?;
    let told = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(
        told.stdout
            .contains("the engine does not run: it takes this when it starts"),
        "{told}"
    );
    site.run("systemctl", &["is-active", "docker.service"])?
        .expect_failure("inactive")?;
    start(site)?;
    site.run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    site.run("systemctl", &stop)?.expect_success()?;
    site.ramgate(&["uninstall", "--yes", "--purge"])?
        .expect_success()?;
    site.ramgate(&["uninstall", "--yes"])?
        .expect_failure("there is no journal of an installation")?;
    start(site)
}

fn start(site: &Site<'_>) -> Result<()> {
    let start = ["start", "docker.socket", "docker.service"];
    site.run("systemctl", &start)?.expect_success().map(drop)
}

/// One of them does it. The other is told to wait, finds the plan of a moment ago outdated, or finds nothing left to do.
fn two_at_once(_: &Lab, site: &Site<'_>) -> Result<()> {
    let both = format!(
        "{PROGRAM} install --yes --level=plugin >/tmp/first 2>&1 & first=$!
         {PROGRAM} install --yes --level=plugin >/tmp/second 2>&1; second=$?
         wait $first; echo $? $second; cat /tmp/first /tmp/second; rm /tmp/first /tmp/second"
    );
    let told = site.shell(&both)?.expect_success()?;
    let codes = told.stdout.lines().next().unwrap_or_default();
    let said = |words: &str| told.stdout.contains(words);
    ensure!(
        codes == "0 0" && said("there is nothing to do")
            || said("another installation is under way; wait for its end")
            || said("it was changed since the plan was made; run the command again"),
        "{told}"
    );
    ensure!(codes.contains('0'), "neither did it: {told}");
    site.run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    let again = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(again.stdout.contains("there is nothing to do"), "{again}");
    site.ramgate(&["uninstall", "--yes", "--purge"])?
        .expect_success()?;
    Ok(())
}

fn edited_afterwards(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let keep = format!("cp -a {DAEMON_JSON} /srv/own");
    site.shell(&keep)?.expect_success()?;
    site.ramgate(&["install", "--yes"])?.expect_success()?;
    let installed = lab.read_file(DAEMON_JSON)?;
    let edited = installed.replace("\"debug\": false", "\"debug\": true");
    ensure!(edited != installed, "{installed}");
    lab.write_file(DAEMON_JSON, &edited)?;
    let told = site
        .ramgate(&["uninstall", "--yes", "--purge"])?
        .expect_success()?;
    let said = "daemon.json was changed since by others: only what ramgate had set was taken out";
    ensure!(told.text().contains(said), "{told}");
    let left = lab.read_file(DAEMON_JSON)?;
    ensure!(
        left.contains("\"debug\": true")
            && !left.contains("ramgate")
            && !left.contains("127.0.0.1"),
        "{left}"
    );
    let own = format!("mv /srv/own {DAEMON_JSON}");
    site.shell(&own)?.expect_success()?;
    Ok(())
}

fn refused(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let keep = format!("cp -a {DAEMON_JSON} /srv/own");
    site.shell(&keep)?.expect_success()?;
    for (text, why) in [
        (
            "{ \"debug\": false } // mine\n",
            "line 1: there is a comment, which JSON does not have and dockerd does not start with; take it out",
        ),
        (
            "{ \"debug\": false, \"debug\": true }",
            "the key `debug` stands twice; leave one of them",
        ),
        (
            "{ \"authorization-plugins\": \"opa\" }",
            "a list is expected; mend it",
        ),
        (
            "{ \"proxies\": { \"https-proxy\": \"http://proxy.example:3128\" } }",
            "name it as `egress.upstream-proxy.url`",
        ),
    ] {
        lab.write_file(DAEMON_JSON, text)?;
        let before = site.trace()?;
        let told = site.ramgate(&["install", "--yes"])?.expect_failure(why)?;
        ensure!(told.status.code() == Some(64), "{told}");
        same(&before, &site.trace()?)?;
    }
    let own = format!("mv /srv/own {DAEMON_JSON}");
    site.shell(&own)?.expect_success()?;
    Ok(())
}
