//! Hosts as directories, and what is planned for each.

mod strict;

use std::path::Path;

use super::*;
use crate::install::docker::{Docker, Running};
use crate::install::step::{Content, Part};
use crate::install::{Layout, below};
use crate::settings::{DEFAULT_PATH, Settings};

/// A system below a directory of its own.
struct System {
    root: tempfile::TempDir,
    docker: Docker,
}

impl System {
    /// One with systemd and an engine of this version, which runs.
    fn new(major: u32) -> Self {
        let system = Self {
            root: tempfile::tempdir().unwrap(),
            docker: Docker::default(),
        };
        system.write("/lib/systemd/systemd", "");
        system.write("/usr/bin/dockerd", "");
        system.write("/usr/sbin/nft", "");
        system.write(
            "/usr/lib/systemd/system/docker.service",
            "[Service]\nExecStart=/usr/bin/dockerd -H fd://\n",
        );
        let docker = Docker {
            major: Some(major),
            running: Some(Running::default()),
            ..system.find().docker
        };
        Self { docker, ..system }
    }

    fn write(&self, path: &str, text: &str) {
        let path = below(self.root.path(), Path::new(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn find(&self) -> Host {
        let settings = below(self.root.path(), Path::new(DEFAULT_PATH));
        let text = std::fs::read_to_string(settings).unwrap_or_else(|_| "{}".to_owned());
        let settings = Settings::parse(&text).unwrap();
        Host::find(self.root.path(), Layout::system(), settings).unwrap()
    }

    fn host(&self) -> Host {
        let mut host = self.find();
        host.docker = Docker {
            daemon_json: host.docker.daemon_json.clone(),
            unit: host.docker.unit.clone(),
            ..self.docker.clone()
        };
        host
    }

    #[track_caller]
    fn plan(&self, choices: &Choices) -> Plan {
        plan(&self.host(), choices).unwrap()
    }

    /// Makes the steps of a plan, and forgets that.
    #[track_caller]
    fn carry_out(&self, choices: &Choices) {
        let journal = tempfile::tempdir().unwrap();
        let journal = crate::install::Journal::open(journal.path()).unwrap();
        let mut executor = crate::install::Executor::new(self.root.path().to_owned(), journal);
        for step in &self.plan(choices).steps {
            executor.make(step).unwrap();
        }
    }

    #[track_caller]
    fn refused(&self, choices: &Choices, why: &str) {
        let Refusal(problems) = plan(&self.host(), choices).unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.contains(why)),
            "{problems:?}"
        );
    }
}

fn choices(level: Level) -> Choices {
    Choices {
        level,
        policy: None,
        registries: Vec::new(),
        program: b"program".to_vec(),
        program_path: "/root/ramgate".into(),
        adopt: false,
        can_start: false,
        can_restart: false,
        authority: |hosts| {
            let now =
                std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
            NewAuthority::make(hosts, now)
        },
    }
}

#[track_caller]
fn written(plan: &Plan, path: &str) -> String {
    let step = plan
        .steps
        .iter()
        .find(|step| step.path == Path::new(path))
        .unwrap_or_else(|| panic!("{path}: {:?}", paths(plan)));
    match &step.after {
        Content::File { content, .. } => String::from_utf8(content.clone()).unwrap(),
        other @ (Content::Link { .. } | Content::Directory { .. }) => panic!("{other:?}"),
    }
}

fn paths(plan: &Plan) -> Vec<String> {
    let paths = plan.steps.iter().map(|step| step.path.display());
    paths.map(|path| path.to_string()).collect()
}

#[test]
fn the_gates_come_before_the_engine() {
    let plan = System::new(26).plan(&choices(Level::Standard));
    let first = plan.steps.iter().position(|step| step.part == Part::Engine);
    let last = plan.steps.iter().rposition(|step| step.part == Part::Gates);
    assert!(last < first, "{:?}", paths(&plan));
    assert_eq!(
        paths(&plan),
        [
            "/usr/local/bin/ramgate",
            "/etc/ramgate/policy.json",
            "/etc/systemd/system/ramgate.socket",
            "/etc/systemd/system/sockets.target.wants/ramgate.socket",
            "/etc/systemd/system/docker.service.wants/ramgate.socket",
            "/etc/systemd/system/ramgate.service",
            "/etc/systemd/system/multi-user.target.wants/ramgate.service",
            "/etc/docker/daemon.json",
        ]
    );
}

#[test]
fn the_plugin_alone_needs_a_reload_and_the_proxy_a_restart() {
    let system = System::new(26);
    let plugin = system.plan(&choices(Level::Plugin));
    assert_eq!(plugin.engine, Apply::Reload);
    let daemon = written(&plugin, "/etc/docker/daemon.json");
    assert_eq!(daemon, "{\n  \"authorization-plugins\": [\"ramgate\"]\n}\n");
    let settings = written(&plugin, DEFAULT_PATH);
    assert!(Settings::parse(&settings).unwrap().mirror.is_none());
    let standard = system.plan(&choices(Level::Standard));
    assert_eq!(standard.engine, Apply::Restart);
    assert!(written(&standard, "/etc/docker/daemon.json").contains("\"no-proxy\""));
}

#[test]
fn an_engine_that_knows_no_proxies_gets_them_in_its_unit() {
    let plan = System::new(20).plan(&choices(Level::Standard));
    assert!(!written(&plan, "/etc/docker/daemon.json").contains("proxies"));
    let drop_in = written(&plan, "/etc/systemd/system/docker.service.d/ramgate.conf");
    assert!(drop_in.contains("Environment=HTTPS_PROXY=http://127.0.0.1:5051"));
    assert_eq!(plan.engine, Apply::Restart);
}

#[test]
fn registries_are_told_apart_where_the_engine_reads_hosts_files() {
    let system = System::new(28);
    let with = |registries: &[&str]| {
        let registries = registries.iter().map(|host| (*host).to_owned()).collect();
        system.plan(&Choices {
            registries,
            ..choices(Level::Standard)
        })
    };
    let plan = with(&["ghcr.io", "reg.example:5000"]);
    assert!(
        written(&plan, "/etc/docker/certs.d/_default/hosts.toml")
            .contains("server = \"http://127.0.0.1:5050\"")
    );
    for host in ["ghcr.io", "reg.example:5000"] {
        let file = written(&plan, &format!("/etc/docker/certs.d/{host}/hosts.toml"));
        assert!(!file.contains("server"), "{file}");
    }
    assert_eq!(plan.routes[0], ("docker.io".to_owned(), Route::Mirror));
    assert_eq!(plan.routes[1], ("ghcr.io".to_owned(), Route::Direct));

    // With a pattern, what is reached directly cannot be listed: only Docker Hub is sent elsewhere.
    let plan = with(&["*.amazonaws.com"]);
    written(&plan, "/etc/docker/certs.d/docker.io/hosts.toml");
    assert!(!paths(&plan).iter().any(|path| path.contains("_default")));

    system.write("/etc/docker/certs.d/shadow.example/ca.crt", "");
    let plan = with(&[]);
    assert!(
        plan.notes
            .iter()
            .any(|note| note.contains("shadow.example")),
        "{:?}",
        plan.notes
    );
}

#[test]
fn the_written_hosts_files_are_read_back_as_they_are_meant() {
    let system = System::new(28);
    let plan = system.plan(&Choices {
        registries: vec!["ghcr.io".to_owned()],
        ..choices(Level::Standard)
    });
    for step in &plan.steps {
        if let Content::File { content, .. } = &step.after {
            let text = String::from_utf8_lossy(content).into_owned();
            system.write(&step.path.display().to_string(), &text);
        }
    }
    let directory = below(system.root.path(), Path::new("/etc/docker/certs.d"));
    let mirror = std::net::SocketAddr::from(([127, 0, 0, 1], 5050));
    let problems = ramgate_plugin::hosts_file_problems(&directory, mirror);
    assert!(problems.is_empty(), "{problems:?}");
    let elsewhere = std::net::SocketAddr::from(([127, 0, 0, 1], 6060));
    let problems = ramgate_plugin::hosts_file_problems(&directory, elsewhere);
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn a_drop_in_that_keeps_the_gates_from_starting_is_found_beforehand() {
    let system = System::new(26);
    system.write("/etc/ramgate/policy.d/10-site.json", "{\"version\": 2}");
    system.refused(
        &choices(Level::Plugin),
        "/etc/ramgate/policy.d/10-site.json: line 1",
    );
}

#[test]
fn the_way_that_the_policy_says_is_the_way_that_is_set() {
    let system = System::new(28);
    system.write(
        "/etc/ramgate/policy.json",
        r#"{ "version": 1, "registries": [
            { "host": "docker.io" }, { "host": "a.example", "via": "mirror" },
            { "host": "b.example", "via": "direct" }, { "host": "c.example" }] }"#,
    );
    let plan = system.plan(&choices(Level::Strict));
    let routes: Vec<Route> = plan.routes.iter().map(|(_, route)| *route).collect();
    assert_eq!(
        routes,
        [Route::Mirror, Route::Mirror, Route::Direct, Route::Inspect]
    );
    let files = paths(&plan);
    for (host, own) in [
        ("a.example", false),
        ("b.example", true),
        ("c.example", true),
    ] {
        let path = format!("/etc/docker/certs.d/{host}/hosts.toml");
        assert_eq!(files.contains(&path), own, "{host}: {files:?}");
    }
}

#[test]
fn a_second_plan_is_empty() {
    for (major, level) in [
        (20, Level::Standard),
        (26, Level::Plugin),
        (28, Level::Standard),
        (20, Level::Strict),
        (28, Level::Strict),
    ] {
        let system = System::new(major);
        let choices = Choices {
            registries: vec!["ghcr.io".to_owned()],
            ..choices(level)
        };
        system.carry_out(&choices);
        let again = system.plan(&choices);
        assert!(again.is_empty(), "{major}: {:?}", paths(&again));
    }
}

#[test]
fn what_others_have_set_up_stays_or_is_said() {
    let system = System::new(26);
    system.write(
        "/etc/docker/daemon.json",
        "{\"authorization-plugins\": [\"opa\"], \"registry-mirrors\": [\"https://mirror.example\"]}",
    );
    let plan = system.plan(&choices(Level::Standard));
    let daemon: Value = serde_json::from_str(&written(&plan, "/etc/docker/daemon.json")).unwrap();
    assert_eq!(
        daemon["authorization-plugins"],
        serde_json::json!(["opa", "ramgate"])
    );
    for expected in ["before ramgate", "mirror.example"] {
        assert!(
            plan.notes.iter().any(|note| note.contains(expected)),
            "{:?}",
            plan.notes
        );
    }

    let policy = "{\"version\": 1, \"registries\": [{\"host\": \"ghcr.io\"}]}";
    system.write("/etc/ramgate/policy.json", policy);
    let plan = system.plan(&choices(Level::Plugin));
    assert!(!paths(&plan).contains(&"/etc/ramgate/policy.json".to_owned()));
}

#[test]
fn a_packaged_ramgate_is_only_switched_on() {
    let system = System::new(26);
    for unit in ["ramgate.service", "ramgate.socket"] {
        system.write(&format!("/usr/lib/systemd/system/{unit}"), "");
    }
    let plan = system.plan(&Choices {
        program_path: "/usr/bin/ramgate".into(),
        ..choices(Level::Plugin)
    });
    assert!(
        !paths(&plan)
            .iter()
            .any(|path| path.starts_with("/usr/") || path.ends_with("system/ramgate.service")),
        "{:?}",
        paths(&plan)
    );
    let link = plan
        .steps
        .iter()
        .find(|step| step.path.ends_with("docker.service.wants/ramgate.socket"));
    assert_eq!(
        link.unwrap().after,
        Content::Link {
            target: "/usr/lib/systemd/system/ramgate.socket".into()
        }
    );
}

#[test]
fn running_containers_are_counted_before_they_stop() {
    let mut system = System::new(26);
    let running = |containers, live_restore| {
        Some(Running {
            containers,
            live_restore,
            ..Running::default()
        })
    };
    let said = |system: &System, text: &str| {
        let notes = system.plan(&choices(Level::Standard)).notes;
        assert!(notes.iter().any(|note| note.contains(text)), "{notes:?}");
    };
    system.docker.running = running(3, false);
    said(&system, "3 running containers stop with it; to keep them");
    system.docker.running = running(3, true);
    said(&system, "containers go on running");
    system.docker.running = None;
    assert_eq!(
        system.plan(&choices(Level::Standard)).engine,
        Apply::Nothing
    );
}

#[test]
fn what_would_keep_the_engine_from_starting_is_found_beforehand() {
    let standard = choices(Level::Standard);
    let system = System::new(26);
    system.write("/etc/docker/daemon.json", "{} // mine");
    system.refused(&standard, "there is a comment");
    system.write("/etc/docker/daemon.json", "{\"authorization-plugins\": 1}");
    system.refused(&standard, "a list is expected");

    for (option, level) in [
        ("--registry-mirror=https://m", Level::Standard),
        ("--authorization-plugin other", Level::Plugin),
        ("--no-proxy x", Level::Standard),
    ] {
        let system = System::new(26);
        system.write(
            "/etc/systemd/system/docker.service.d/options.conf",
            &format!("[Service]\nExecStart=\nExecStart=/usr/bin/dockerd {option}\n"),
        );
        system.refused(&choices(level), "dockerd is started with");
    }
}

#[test]
fn what_would_be_a_way_past_or_no_way_at_all_is_refused() {
    let standard = choices(Level::Standard);
    let system = System::new(26);
    system.write(
        "/etc/docker/daemon.json",
        "{\"proxies\": {\"https-proxy\": \"http://me:secret@proxy.example:3128\"}}",
    );
    system.refused(&standard, "`http://…@proxy.example:3128`");
    system.refused(&standard, "`egress.upstream-proxy.url`");
    system.plan(&choices(Level::Plugin));

    let system = System::new(26);
    system.write(DEFAULT_PATH, "{\"mirror\": {\"listen\": \"0.0.0.0:5050\"}}");
    system.refused(&standard, "`mirror.listen` is 0.0.0.0:5050");

    let system = System::new(26);
    system.write(
        "/etc/ramgate/policy.json",
        "{\"version\": 1, \"registries\": 5}",
    );
    system.refused(&standard, "policy.json: line 1");

    let mut snap = System::new(26);
    std::fs::remove_file(below(snap.root.path(), Path::new("/usr/bin/dockerd"))).unwrap();
    snap.docker.installed = false;
    snap.refused(&standard, "there is no Docker Engine here");
    snap.docker.snap = true;
    snap.refused(&standard, "Docker is installed as a snap");
    snap.docker.snap = false;
    snap.docker.podman = true;
    snap.refused(&standard, "is Podman");

    let mut managed = System::new(26);
    managed.docker.running = Some(Running {
        managed_plugin: true,
        ..Running::default()
    });
    managed.refused(&standard, "managed plugin");
}
