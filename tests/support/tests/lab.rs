//! The lab itself, without ramgate: what tests rest on. Needs root and what `provision` makes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{Builder, EngineKind, Fault, Image, Lab, LabOptions};

#[test]
fn docker_20_10_pulls_runs_and_builds() -> Result<()> {
    pulls_runs_and_builds(EngineKind::Docker20_10, "20.10.")
}

#[test]
fn docker_26_1_pulls_runs_and_builds() -> Result<()> {
    pulls_runs_and_builds(EngineKind::Docker26_1, "26.1.")
}

#[test]
fn docker_28_5_pulls_runs_and_builds() -> Result<()> {
    pulls_runs_and_builds(EngineKind::Docker28_5, "28.5.")
}

#[test]
fn docker_28_5_with_the_containerd_store_pulls_runs_and_builds() -> Result<()> {
    pulls_runs_and_builds(EngineKind::Docker28_5Containerd, "28.5.")
}

fn pulls_runs_and_builds(kind: EngineKind, version: &str) -> Result<()> {
    let lab = Lab::start(kind, &LabOptions::default())?;
    lab.start_engine()?;
    let trace = Trace::of(&lab)?;

    // The engine is the one that its kind says.
    let info = lab
        .docker(&["info", "--format", "{{.ServerVersion}} {{.Driver}}"])?
        .expect_success()?;
    ensure!(info.stdout.starts_with(version), "{info}");
    ensure!(info.stdout.starts_with(&kind.version()?), "{info}");
    let driver = if kind.has_containerd_store() {
        "overlayfs"
    } else {
        "overlay2"
    };
    ensure!(info.stdout.trim_end().ends_with(driver), "{info}");

    // Each registry is reached directly, and every request noted.
    lab.docker(&["pull", "alpine:3"])?.expect_success()?;
    let alpine = Image::busybox("docker.io/library/alpine:3")?;
    let layer = format!("/v2/library/alpine/blobs/{}", alpine.layer_digest());
    let fetched = lab.docker_hub().requests_under(&layer);
    ensure!(
        fetched
            .iter()
            .filter(|request| request.status == 200)
            .count()
            == 1,
        "{}",
        lab.report()
    );
    ensure!(lab.ghcr().connections() == 0, "{}", lab.report());
    lab.docker(&["pull", "ghcr.io/acme/app:1"])?
        .expect_success()?;
    ensure!(lab.ghcr().connections() > 0, "{}", lab.report());

    // What was pulled is what was pushed, and runs.
    let run = lab
        .docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "alpine:3",
            "cat",
            "/marker",
        ])?
        .expect_success()?;
    ensure!(run.stdout == "docker.io/library/alpine:3", "{run}");

    for builder in Builder::ALL {
        builds(&lab, builder)?;
    }
    leaves_nothing(lab, &trace)
}

fn builds(lab: &Lab, builder: Builder) -> Result<()> {
    let tag = format!("built:{builder:?}").to_lowercase();
    let dockerfile = "FROM other\nRUN echo built > /built\n";
    lab.build(builder, &tag, dockerfile)?.expect_success()?;
    lab.docker(&["run", "--rm", "--network", "none", &tag, "cat", "/built"])?
        .expect_success()?;

    lab.denied_host().forget();
    let dockerfile = "FROM alpine:3\nADD https://denied.example/hello.txt /hello.txt\n";
    lab.build(builder, &tag, dockerfile)?.expect_success()?;
    let added = lab.denied_host().requests_under(Lab::FILE);
    ensure!(!added.is_empty(), "{builder:?}: {}", lab.report());
    Ok(())
}

#[test]
fn engines_keep_their_data_over_a_restart_and_labs_do_not_meet() -> Result<()> {
    let lab = Lab::start(EngineKind::Docker26_1, &LabOptions::default())?;
    let other = Lab::start(
        EngineKind::Docker26_1,
        &LabOptions {
            images: false,
            ..LabOptions::default()
        },
    )?;
    lab.start_engine()?;
    lab.docker(&["pull", "acme/app:1"])?.expect_success()?;
    lab.configure_engine(&serde_json::json!({ "labels": ["lab=restarted"] }))?;
    lab.restart_engine()?;
    lab.docker(&["image", "inspect", "acme/app:1"])?
        .expect_success()?;
    let labels = lab.docker(&["info", "--format", "{{.Labels}}"])?;
    ensure!(labels.stdout.contains("lab=restarted"), "{labels}");

    other.start_engine()?;
    other
        .docker(&["image", "inspect", "acme/app:1"])?
        .expect_failure("acme/app:1")?;
    other
        .docker(&["pull", "acme/app:1"])?
        .expect_failure("manifest unknown")?;
    Ok(())
}

#[test]
fn upstreams_misbehave_when_told_to() -> Result<()> {
    let lab = Lab::start(EngineKind::Docker28_5, &LabOptions::default())?;
    lab.start_engine()?;
    let pull = || lab.docker(&["pull", "grafana/grafana:1"]);

    lab.docker_hub().set_fault(Some(Fault::CorruptBlobs));
    pull()?.expect_failure("")?;
    lab.docker_hub().set_fault(Some(Fault::HangUp));
    pull()?.expect_failure("")?;
    lab.docker_hub().set_fault(None);
    lab.docker_hub().forget();
    pull()?.expect_success()?;

    // Tokens are asked for and given, as out there.
    let statuses: Vec<u16> = lab
        .docker_hub()
        .requests()
        .iter()
        .map(|request| request.status.as_u16())
        .collect();
    ensure!(statuses.first() == Some(&401), "{}", lab.report());
    ensure!(!lab.docker_hub().requests_under("/token?").is_empty());

    // A tag moves; a file appears.
    lab.docker_hub()
        .push("grafana/grafana", "1", &Image::busybox("moved")?)?;
    pull()?.expect_success()?;
    let run = lab.docker(&[
        "run",
        "--rm",
        "--network=none",
        "grafana/grafana:1",
        "cat",
        "/marker",
    ])?;
    ensure!(run.stdout == "moved", "{run}");
    lab.files_host().put_file("/new", "new\n")?;
    let curl = lab.curl(&["https://files.example/new"])?.expect_success()?;
    ensure!(curl.stdout == "new\n", "{curl}");
    // Nothing else is out there.
    lab.curl(&["http://192.0.2.1/"])?.expect_failure("")?;
    lab.curl(&["https://example.com/"])?
        .expect_failure("Could not resolve")?;
    Ok(())
}

#[test]
fn images_are_pushed_where_tokens_allow() -> Result<()> {
    let lab = Lab::start(EngineKind::Docker20_10, &LabOptions::default())?;
    lab.start_engine()?;
    lab.docker(&["pull", "alpine:3"])?.expect_success()?;
    lab.docker(&["tag", "alpine:3", "ghcr.io/acme/new:2"])?
        .expect_success()?;
    lab.docker(&["push", "ghcr.io/acme/new:2"])?
        .expect_success()?;
    let put = lab.ghcr().requests_under("/v2/acme/new/manifests/2");
    ensure!(
        put.iter().any(|request| request.method == "PUT"),
        "{}",
        lab.report()
    );
    Ok(())
}

#[test]
fn a_root_boots_as_a_server_twice_and_leaves_nothing() -> Result<()> {
    for kind in [EngineKind::Docker20_10, EngineKind::Docker26_1] {
        let lab = Lab::start(kind, &LabOptions::default())?;
        let trace = Trace::of(&lab)?;
        for hostname in ["first", "second"] {
            let server = lab.boot()?;
            let version = server.run("docker", &["version", "--format", "{{.Server.Version}}"])?;
            ensure!(version.stdout.starts_with(&kind.version()?), "{version}");
            ensure!(server.journal("docker")?.contains("API listen on"));
            // Its units are its own, and so is its name; files and network are the lab's.
            server.run("hostname", &[hostname])?.expect_success()?;
            ensure!(lab.run("hostname", &[])?.stdout.trim_end() != hostname);
            server
                .run("systemctl", &["is-active", "docker"])?
                .expect_success()?;
            server
                .run("curl", &["--silent", "https://files.example/hello.txt"])?
                .expect_success()?;
        }
        leaves_nothing(lab, &trace)?;
    }
    Ok(())
}

#[test]
fn a_command_that_takes_too_long_is_ended() -> Result<()> {
    let lab = Lab::start(EngineKind::Docker28_5, &LabOptions::default())?;
    let slow = lab
        .command("sleep")
        .args(["300"])
        .timeout(Duration::from_millis(300))
        .run();
    ensure!(slow.is_err());
    lab.run("pgrep", &["sleep"])?.expect_failure("")?;
    Ok(())
}

#[test]
fn a_killed_owner_leaves_a_directory_that_the_next_lab_removes() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let owner = Command::new(std::env::current_exe()?)
        .args(["--exact", "helper_starts_a_lab_and_is_killed", "--ignored"])
        .env(TRACE, file.path())
        .output()?;
    ensure!(owner.status.signal() == Some(9), "{owner:?}");
    let trace = Trace::read(&fs::read_to_string(file.path())?)?;

    // Processes, networks and mounts go by themselves; the directory with the next lab.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !trace.namespaces()?.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(trace.directory.is_dir());
    let next = Lab::start(EngineKind::Docker28_5, &LabOptions::default())?;
    ensure!(!trace.directory.exists());
    leaves_nothing(next, &trace)
}

#[test]
#[ignore = "run by a_killed_owner_leaves_a_directory_that_the_next_lab_removes"]
fn helper_starts_a_lab_and_is_killed() -> Result<()> {
    let Some(file) = std::env::var_os(TRACE) else {
        return Ok(());
    };
    let lab = Lab::start(EngineKind::Docker28_5, &LabOptions::default())?;
    lab.start_engine()?;
    lab.docker(&["pull", "alpine:3"])?.expect_success()?;
    lab.docker(&[
        "run",
        "--detach",
        "--network=none",
        "alpine:3",
        "sleep",
        "300",
    ])?
    .expect_success()?;
    fs::write(file, Trace::of(&lab)?.write())?;
    Command::new("kill")
        .args(["-KILL", &std::process::id().to_string()])
        .status()?;
    std::thread::sleep(Duration::from_secs(10));
    Ok(())
}

const TRACE: &str = "RAMGATE_LAB_TRACE";

/// Ends the lab and looks for what it may have left.
#[track_caller]
fn leaves_nothing(lab: Lab, trace: &Trace) -> Result<()> {
    let name = lab.name().to_owned();
    drop(lab);
    ensure!(trace.namespaces()?.is_empty(), "{:?}", trace.namespaces()?);
    ensure!(!trace.directory.exists(), "{}", trace.directory.display());
    ensure!(!fs::read_to_string("/proc/mounts")?.contains(&name));
    let find = Command::new("find")
        .args(["/sys/fs/cgroup", "-name", &name])
        .output()?;
    ensure!(
        find.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&find.stdout)
    );
    Ok(())
}

/// By what a lab is found again.
struct Trace {
    ids: BTreeSet<String>,
    directory: PathBuf,
}

impl Trace {
    fn of(lab: &Lab) -> Result<Self> {
        let ids = ["pid", "mnt", "net"]
            .into_iter()
            .map(|kind| {
                Ok(lab
                    .run("readlink", &[&format!("/proc/1/ns/{kind}")])?
                    .stdout)
            })
            .map(|id: Result<String>| id.map(|id| id.trim_end().to_owned()))
            .collect::<Result<_>>()?;
        let mounts = lab.read_file("/proc/1/mountinfo")?;
        let directory = mounts
            .split("upperdir=")
            .nth(1)
            .and_then(|rest| rest.split_once("/upper,"))
            .context("no overlay")?
            .0
            .into();
        Ok(Self { ids, directory })
    }

    fn write(&self) -> String {
        let ids: Vec<&str> = self.ids.iter().map(String::as_str).collect();
        format!("{}\n{}", self.directory.display(), ids.join("\n"))
    }

    fn read(text: &str) -> Result<Self> {
        let (directory, ids) = text.split_once('\n').context("empty trace")?;
        Ok(Self {
            ids: ids.lines().map(ToOwned::to_owned).collect(),
            directory: directory.into(),
        })
    }

    /// Whether a process sees the lab's root; it is taken to, if that cannot be told.
    fn has_mounts_of(&self, process: &Path) -> bool {
        let mounts = fs::read_to_string(process.join("mountinfo"));
        mounts.map_or(true, |mounts| {
            mounts.contains(&*self.directory.to_string_lossy())
        })
    }

    /// The processes of this machine that are in one of the lab's namespaces.
    fn namespaces(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for process in fs::read_dir("/proc")? {
            let process = process?.path();
            for kind in ["pid", "mnt", "net"] {
                let Ok(id) = fs::read_link(process.join("ns").join(kind)) else {
                    continue; // no process, or gone by now
                };
                // The kernel gives the number of a namespace that is gone to a new one, as of a lab that starts meanwhile.
                if self.ids.contains(&*id.to_string_lossy()) && self.has_mounts_of(&process) {
                    found.push(process.join(Path::new(kind)));
                }
            }
        }
        Ok(found)
    }
}
