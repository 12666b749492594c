//! An engine in rootless mode: set up by its user, for that user, and taken out again.

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{EngineKind, Lab, LabOptions, Server};

use crate::failing::each_step_is_put_back;
use crate::installing::{self, Site, same};

/// On a Debian of its own, with a user who has an engine of Debian's own script.
pub(crate) fn a_users_own_engine_is_set_up_and_left(kind: EngineKind) -> Result<()> {
    let lab = Lab::start(kind, &LabOptions::default())?;
    lay_out(&lab)?;
    let server = lab.boot()?;
    let root = Site::of_server(&server);
    let user = Site::of(|program| as_user(&server, program), PROGRAM);
    let result = log_in(&root, &user)
        .and_then(|()| refused(&root, &user))
        .and_then(|()| installed(&lab, &root, &user));
    result.with_context(|| {
        let journal = user.run("journalctl", &["--user", "--no-pager", "--lines=60"]);
        let journal = journal.map(|told| told.to_string()).unwrap_or_default();
        let system = server.journal("login").unwrap_or_default();
        format!("{system}\n{journal}")
    })
}

fn lay_out(lab: &Lab) -> Result<()> {
    lab.name_docker_hub()?;
    lab.install_rootless_extras()?;
    for (file, line) in [
        ("/etc/passwd", "me:x:1000:1000::/home/me:/bin/bash\n"),
        ("/etc/group", "me:x:1000:\n"),
        ("/etc/subuid", "me:100000:65536\n"),
        ("/etc/subgid", "me:100000:65536\n"),
    ] {
        let text = lab.read_file(file).unwrap_or_default();
        lab.write_file(file, format!("{text}{line}"))?;
    }
    let build = installing::build()?;
    installing::put_program(lab, PROGRAM, &build)?;
    let another = [&build[..], b"another build"].concat();
    installing::put_program(lab, UPGRADE, &another)?;
    lab.write_file("/home/me/.config/systemd/user/docker.service", ENGINE)?;
    lab.write_file(DAEMON_JSON, "{\n\t\"debug\": false\n}\n")?;
    lab.run("chown", &["-R", "1000:1000", "/home/me"])?
        .expect_success()?;
    Ok(())
}

/// Starts the user's systemd, as a login does, and the user's engine.
fn log_in(root: &Site<'_>, user: &Site<'_>) -> Result<()> {
    root.shell(LOGIN)?.expect_success()?;
    user.run("systemctl", &["--user", "enable", "--now", "docker"])?
        .expect_success()?;
    user.eventually("docker", &["ps"])?;
    let info = user.run("docker", &["info"])?.expect_success()?;
    ensure!(info.stdout.contains("rootless"), "{info}");
    user.run("docker", &["pull", "evil/tool"])?
        .expect_success()?;
    user.run("docker", &["rmi", "evil/tool"])?
        .expect_success()?;
    Ok(())
}

fn refused(root: &Site<'_>, user: &Site<'_>) -> Result<()> {
    let before = user.trace()?;
    root.run(PROGRAM, &["install", "--rootless", "--yes"])?
        .expect_failure("XDG_RUNTIME_DIR is not set")?;
    user.ramgate(&["install", "--yes"])?
        .expect_failure("for your own engine in rootless mode there is `--rootless`")?;
    user.ramgate(&["install", "--rootless", "--yes", "--level=standard"])?
        .expect_failure("reaches neither mirror nor proxy")?;
    user.ramgate(&["install", "--rootless", "--dry-run"])?
        .expect_success()?;
    same(&before, &user.trace()?).context("nothing was agreed to")?;
    each_step_is_put_back(user, &["install", "--rootless"], 9)
}

fn installed(lab: &Lab, root: &Site<'_>, user: &Site<'_>) -> Result<()> {
    let before = user.trace()?;
    let engine = ["--user", "show", "--property=MainPID", "docker"];
    let started = user.run("systemctl", &engine)?.stdout;
    let told = user
        .ramgate(&["install", "--rootless", "--yes"])?
        .expect_success()?;
    ensure!(told.text().contains("a canary was refused"), "{told}");
    judged(user)?;
    let again = user.ramgate(&["install", "--rootless", "--yes"])?;
    let again = again.expect_success()?;
    ensure!(again.stdout.contains("there is nothing to do"), "{again}");
    let policy = ["install", "--rootless", "--yes", "--registry", "ghcr.io"];
    user.ramgate(&policy)?.expect_success()?;
    user.run("docker", &["pull", "ghcr.io/acme/app:1"])?
        .expect_success()?;
    an_upgrade_costs_no_call(lab, user)?;
    let now = user.run("systemctl", &engine)?.stdout;
    ensure!(now == started, "the engine was restarted: {started} {now}");

    root.run("systemctl", &["stop", "login"])?
        .expect_success()?;
    root.shell(LOGIN)?.expect_success()?;
    user.eventually("docker", &["ps"])?;
    judged(user).context("after another login")?;

    user.ramgate(&["uninstall", "--rootless", "--yes", "--purge"])?
        .expect_success()?;
    user.run("docker", &["pull", "evil/tool"])?
        .expect_success()?;
    same(&before, &user.trace()?).context("uninstalled, nothing is left")
}

fn judged(user: &Site<'_>) -> Result<()> {
    user.run("docker", &["pull", "alpine:3"])?
        .expect_success()?;
    user.run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    let settings = "/home/me/.config/ramgate/settings.json";
    let status = ["status", "--settings", settings];
    let status = user.run("/home/me/.local/bin/ramgate", &status)?;
    status.expect_success()?;
    Ok(())
}

fn an_upgrade_costs_no_call(lab: &Lab, user: &Site<'_>) -> Result<()> {
    let install = format!("{UPGRADE} install --rootless --yes");
    installing::no_call_fails_during(user, &install)?;
    let installed = std::fs::read(lab.path("/home/me/.local/bin/ramgate"))?;
    ensure!(
        installed.ends_with(b"another build"),
        "the new build is not in place"
    );
    Ok(())
}

/// A command as the user runs it after a login.
fn as_user(server: &Server<'_>, program: &str) -> ramgate_lab::Command {
    server.command("setpriv").args([
        "--reuid=1000",
        "--regid=1000",
        "--clear-groups",
        "env",
        "-i",
        "HOME=/home/me",
        "USER=me",
        "XDG_RUNTIME_DIR=/run/user/1000",
        "DOCKER_HOST=unix:///run/user/1000/docker.sock",
        "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        program,
    ])
}

const PROGRAM: &str = "/home/me/build/ramgate";
const UPGRADE: &str = "/home/me/upgrade/ramgate";
const DAEMON_JSON: &str = "/home/me/.config/docker/daemon.json";
/// What logind does, which the labs' roots have no bus for.
const LOGIN: &str = "install -d -m 0700 -o 1000 -g 1000 /run/user/1000 &&
    systemd-run --quiet --unit=login --collect --uid=1000 --gid=1000 --property=Delegate=yes --property=Type=notify \
        --setenv=HOME=/home/me --setenv=XDG_RUNTIME_DIR=/run/user/1000 /lib/systemd/systemd --user";
/// As `dockerd-rootless-setuptool.sh` of Docker writes it.
const ENGINE: &str = "[Unit]
Description=Docker Application Container Engine (Rootless)

[Service]
Environment=PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
ExecStart=/bin/sh /usr/share/docker.io/contrib/dockerd-rootless.sh
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutSec=0
RestartSec=2
Restart=always
Type=notify
NotifyAccess=all
KillMode=mixed

[Install]
WantedBy=default.target
";
