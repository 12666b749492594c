//! A host that ramgate is installed on, and what there is to see of it afterwards.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, bail, ensure};
use ramgate_lab::{Command, Lab, Output, Server};

/// A place where commands run: a booted server, or the lab beside its engine.
pub(crate) struct Site<'a> {
    command: Box<dyn Fn(&str) -> Command + 'a>,
    /// The build that is to be installed.
    program: &'static str,
}

// === impl Site ===

impl<'a> Site<'a> {
    pub(crate) fn of_server(server: &'a Server<'a>) -> Self {
        Self {
            command: Box::new(|program| server.command(program)),
            program: PROGRAM,
        }
    }

    pub(crate) fn of_lab(lab: &'a Lab) -> Self {
        Self {
            command: Box::new(|program| lab.command(program)),
            program: PROGRAM,
        }
    }

    /// Commands of another kind, and another build.
    pub(crate) fn of(command: impl Fn(&str) -> Command + 'a, program: &'static str) -> Self {
        Self {
            command: Box::new(command),
            program,
        }
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        (self.command)(program).args(arguments).run()
    }

    pub(crate) fn shell(&self, script: &str) -> Result<Output> {
        self.run("bash", &["-c", script])
    }

    /// Runs a line as somebody at a terminal would, who types `answers`.
    pub(crate) fn on_a_terminal(&self, line: &str, answers: &str) -> Result<Output> {
        (self.command)("script")
            .args(["--quiet", "--return", "--command", line, "/dev/null"])
            .stdin(answers)
            .run()
    }

    /// Runs a program again and again until it succeeds, for half a minute.
    pub(crate) fn eventually(&self, program: &str, arguments: &[&str]) -> Result<()> {
        for _ in 0..30 {
            if self.run(program, arguments)?.status.success() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        self.run(program, arguments)?.expect_success().map(drop)
    }

    /// Runs the build that is to be installed, from where somebody would have unpacked it.
    pub(crate) fn ramgate(&self, arguments: &[&str]) -> Result<Output> {
        self.run(self.program, arguments)
    }

    pub(crate) fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.run("test", &["-e", path])?.status.success())
    }

    /// Every name in the places where an installation writes, with all that can be said of it.
    pub(crate) fn trace(&self) -> Result<String> {
        let trace = self.shell(
            "find /etc /usr/local /usr/lib/systemd -printf '%p %y %m %U %G %l\\n' | sort
             find /etc /usr/local -type f -printf '%p %T@\\n' | sort
             find /etc /usr/local /usr/lib/systemd -type f -print0 | sort -z | xargs -0 sha256sum
             ls -d /var/lib/* /var/log/*
             find /home -path '*/.local/share' -prune -o -printf '%p %y %m %U %G %l\\n' | sort
             find /home -path '*/.local/share' -prune -o -type f -print0 | sort -z | xargs -0 --no-run-if-empty sha256sum
             nft list tables 2>/dev/null | sed -n '/ ramgate$/p'",
        )?;
        Ok(without_settings(&trace.expect_success()?.stdout))
    }
}

/// A trace without the settings that the test itself writes, which go with `--purge`.
fn without_settings(trace: &str) -> String {
    let own = |line: &&str| {
        !line.contains("/etc/ramgate/settings.json") && !line.starts_with("/etc/ramgate d ")
    };
    trace.lines().filter(own).collect::<Vec<_>>().join("\n")
}

/// Compares two traces.
pub(crate) fn same(before: &str, after: &str) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let differing = |these: &str, those: &str| -> Vec<String> {
        let known: std::collections::HashSet<&str> = those.lines().collect();
        these
            .lines()
            .filter(|line| !known.contains(line))
            .map(str::to_owned)
            .collect()
    };
    bail!(
        "gone:\n{}\nnew:\n{}",
        differing(before, after).join("\n"),
        differing(after, before).join("\n")
    )
}

/// An engine with settings of its own, and ramgate unpacked.
pub(crate) fn lay_out(lab: &Lab) -> Result<()> {
    let built = build()?;
    put_program(lab, PROGRAM, &built)?;
    put_program(lab, &format!("{CHECKOUT}/target/release/ramgate"), &built)?;
    lab.name_docker_hub()?;
    lab.install_nft()?;
    let store = if lab.kind().has_containerd_store() {
        ",\n\t\"features\": { \"containerd-snapshotter\": true }"
    } else {
        ""
    };
    let own = format!("{{\n\t\"log-level\": \"info\",\n\t\"debug\": false{store}\n}}");
    lab.write_file(DAEMON_JSON, own)
}

/// The program that is tried.
pub(crate) fn build() -> Result<Vec<u8>> {
    Ok(std::fs::read(env!("CARGO_BIN_EXE_ramgate"))?)
}

pub(crate) fn put_program(lab: &Lab, path: &str, program: &[u8]) -> Result<()> {
    lab.write_file(path, program)?;
    let executable = std::fs::Permissions::from_mode(0o755);
    Ok(std::fs::set_permissions(lab.path(path), executable)?)
}

pub(crate) fn images_are_judged(lab: &Lab, site: &Site<'_>) -> Result<()> {
    lab.upstreams()
        .iter()
        .for_each(|upstream| upstream.forget());
    site.run("docker", &["pull", "alpine:3"])?
        .expect_success()?;
    let requests = lab.docker_hub().requests();
    ensure!(
        requests
            .iter()
            .all(|request| request.user_agent.starts_with("ramgate")),
        "the engine went to Docker Hub itself: {requests:?}"
    );
    site.run("docker", &["run", "--rm", "alpine:3", "true"])?
        .expect_success()?;
    site.run("docker", &["pull", "evil/tool"])?
        .expect_failure("community images not allowed")?;
    site.run("docker", &["pull", "ghcr.io/acme/app:1"])?
        .expect_failure("Access to ghcr.io has been restricted by your administrators")?;
    // Gated: the plugin finds the other two gates in force.
    let build = |dockerfile: &str| {
        site.shell(&format!(
            "printf '{dockerfile}' | DOCKER_BUILDKIT=0 docker build --network none --tag built -"
        ))
    };
    build("FROM alpine:3\\nRUN echo built\\n")?.expect_success()?;
    build("FROM alpine:3\\nADD https://denied.example/hello.txt /\\n")?
        .expect_failure("Access to denied.example has been restricted")?;
    for host in [lab.ghcr(), lab.denied_host()] {
        ensure!(host.connections() == 0, "{} was reached", host.host());
    }
    Ok(())
}

/// The map has nothing open, and no finding is bad.
pub(crate) fn doctor_is_content(site: &Site<'_>) -> Result<()> {
    let told = site
        .run("/usr/local/bin/ramgate", &["doctor", "--json"])?
        .expect_success()?;
    let report: serde_json::Value = serde_json::from_str(&told.stdout)?;
    let states = |state: &str| {
        let cells = report.get("coverage").and_then(serde_json::Value::as_array);
        let cells = cells.into_iter().flatten();
        cells
            .filter(|cell| cell.get("state").and_then(serde_json::Value::as_str) == Some(state))
            .count()
    };
    ensure!(states("open") == 0 && states("enforced") >= 10, "{told}");
    Ok(())
}

/// Another build of ramgate takes the place of the one that runs, while calls go on without a pause.
pub(crate) fn an_upgrade_costs_no_call(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let mut build = std::fs::read(env!("CARGO_BIN_EXE_ramgate"))?;
    build.extend_from_slice(b"another build");
    put_program(lab, "/root/upgrade/ramgate", &build)?;
    let told = no_call_fails_during(site, "/root/upgrade/ramgate install --yes")?;
    ensure!(
        told.text().contains("restart the gates") && !told.text().contains("restart the engine"),
        "{told}"
    );
    let installed = std::fs::read(lab.path("/usr/local/bin/ramgate"))?;
    ensure!(installed == build, "the new build is not in place");
    Ok(())
}

/// Calls go on without a pause while `line` runs.
pub(crate) fn no_call_fails_during(site: &Site<'_>, line: &str) -> Result<Output> {
    let told = site
        .shell(&format!(
            "(sleep 0.5; {line} && sleep 0.5) &
             while kill -0 $! 2>/dev/null; do docker ps --quiet 2>&1 && echo done; done
             wait $!"
        ))?
        .expect_success()?;
    let done = told.stdout.lines().filter(|line| *line == "done").count();
    let refused = told.stdout.contains("authorization denied") || told.stdout.contains("Error");
    ensure!(done >= 10 && !refused, "{told}");
    Ok(told)
}

pub(crate) fn docker_is_as_it_was(lab: &Lab, site: &Site<'_>) -> Result<()> {
    lab.ghcr().forget();
    site.run("docker", &["pull", "ghcr.io/other/thing:1"])?
        .expect_success()?;
    ensure!(lab.ghcr().connections() > 0, "ghcr.io was not asked");
    let info = site.run("docker", &["info"])?.expect_success()?;
    for trace in ["ramgate", "127.0.0.1:50"] {
        ensure!(!info.text().contains(trace), "{info}");
    }
    Ok(())
}

pub(crate) fn journals(server: &Server<'_>) -> String {
    ["ramgate", "docker"]
        .map(|unit| {
            let journal = server.journal(unit).unwrap_or_default();
            let lines: Vec<&str> = journal.lines().collect();
            let skipped = lines.len().saturating_sub(30);
            format!(
                "---- {unit}\n{}\n",
                lines
                    .into_iter()
                    .skip(skipped)
                    .collect::<Vec<_>>()
                    .join("\n")
            )
        })
        .concat()
}

pub(crate) const DAEMON_JSON: &str = "/etc/docker/daemon.json";
pub(crate) const PROGRAM: &str = "/root/ramgate-build/ramgate";
pub(crate) const CHECKOUT: &str = "/root/ramgate";
