//! The scenarios, each on each engine. See `tests/engines.rs`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ramgate_lab::{Builder, EngineKind, Lab, LabOptions, Output, Steering};
use serde_json::{Value, json};

/// A scenario: what is done, and what must come of it.
pub(crate) type Scenario = fn(&Place) -> Result<()>;

/// Every scenario, by name.
pub(crate) const SCENARIOS: [(&str, Scenario); 10] = [
    (
        "an_official_image_is_pulled_through_the_mirror_and_runs",
        official_image,
    ),
    ("everyday_commands_work", everyday_commands),
    (
        "a_registry_that_is_not_listed_is_refused_and_never_asked",
        registry_not_listed,
    ),
    ("of_docker_hub_only_what_is_allowed_comes", categories),
    (
        "what_is_cached_is_refused_once_docker_hub_is_off_the_list",
        cached_is_refused,
    ),
    ("builds_get_what_is_allowed_and_nothing_else", builds),
    (
        "a_denied_image_that_is_on_the_host_does_not_run",
        local_image,
    ),
    ("requests_that_lie_are_refused", lying_requests),
    (
        "the_engine_fails_closed_without_ramgate_and_recovers_with_it",
        fails_closed,
    ),
    (
        "a_broken_policy_leaves_the_last_good_one_in_force",
        broken_policy,
    ),
];

const RESTRICTED: &str = "has been restricted by your administrators";
const COMMUNITY: &str = "image access denied: community images not allowed: docker.io/evil/tool";
const CONTACT: &str = "contact platform@acme.example";

/// A lab with ramgate installed and running.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) lab: Lab,
}

// === impl Place ===

impl Place {
    pub(crate) fn new(kind: EngineKind, ramgate: &Path) -> Result<Self> {
        let lab = Lab::start(kind, &LabOptions::default())?;
        lab.install_ramgate(ramgate, &base_policy(), &Lab::settings())?;
        lab.start_ramgate()?;
        lab.steer_engine(Steering::STANDARD)?;
        lab.start_engine()?;
        Ok(Self { lab })
    }

    /// The start of every scenario: the base policy, an engine without images, and nothing counted yet.
    pub(crate) fn begin(&self) -> Result<()> {
        self.policy(&base_policy())?;
        self.clear()?;
        self.lab
            .upstreams()
            .iter()
            .for_each(|upstream| upstream.forget());
        Ok(())
    }

    /// Removes containers and images.
    fn clear(&self) -> Result<()> {
        for (list, remove) in [
            (["ps", "-aq"], ["rm", "-f"]),
            (["images", "-q"], ["rmi", "-f"]),
        ] {
            let ids = self.docker(&list)?.expect_success()?.stdout;
            let ids: std::collections::BTreeSet<&str> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                let arguments: Vec<&str> = remove.into_iter().chain(ids).collect();
                self.docker(&arguments)?.expect_success()?;
            }
        }
        Ok(())
    }

    /// Writes a policy and waits until it is in force.
    fn policy(&self, policy: &Value) -> Result<()> {
        let before = self.count("policy in force");
        self.lab.write_policy(policy)?;
        self.lab.signal_ramgate("HUP")?;
        self.wait_for("policy in force", before)
    }

    /// Waits until the log of ramgate has `message` more often than `before`.
    fn wait_for(&self, message: &str, before: usize) -> Result<()> {
        let started = Instant::now();
        while self.count(message) <= before {
            ensure!(
                started.elapsed() < Duration::from_secs(10),
                "ramgate's log does not say `{message}`"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn count(&self, message: &str) -> usize {
        self.lab.ramgate_log().matches(message).count()
    }

    fn docker(&self, arguments: &[&str]) -> Result<Output> {
        self.lab.docker(arguments)
    }

    /// The status of a GET at the mirror.
    fn mirror_status(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:5050{path}");
        let output = self.lab.curl(&[
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--noproxy",
            "*",
            &url,
        ])?;
        Ok(output.expect_success()?.stdout)
    }
}

fn base_policy() -> Value {
    json!({
        "version": 1,
        "contact": "platform@acme.example",
        "registries": [{ "host": "docker.io" }],
        "docker-hub": {
            "official": "allow",
            "organizations": ["acme"],
            "repositories": ["grafana/grafana"],
        },
        "egress": { "hosts": ["files.example"] },
    })
}

/// The base policy with one key changed.
fn policy_with(key: &str, value: Value) -> Value {
    let mut policy = base_policy();
    if let Some(object) = policy.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
    policy
}

fn official_image(place: &Place) -> Result<()> {
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    let run = place
        .docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "alpine:3",
            "echo",
            "it runs",
        ])?
        .expect_success()?;
    ensure!(run.stdout == "it runs\n", "{run}");
    let requests = place.lab.docker_hub().requests();
    ensure!(!requests.is_empty(), "nothing was fetched");
    let foreign: Vec<_> = requests
        .iter()
        .filter(|request| !request.user_agent.starts_with("ramgate"))
        .collect();
    ensure!(
        foreign.is_empty(),
        "the engine reached Docker Hub itself: {foreign:?}"
    );

    // Again from the cache: not one blob comes from Docker Hub.
    place.clear()?;
    place.lab.docker_hub().forget();
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    ensure!(
        place
            .lab
            .docker_hub()
            .requests_under("/v2/library/alpine/blobs/")
            .is_empty(),
        "a cached blob was fetched again"
    );
    Ok(())
}

fn everyday_commands(place: &Place) -> Result<()> {
    let done = |arguments: &[&str]| place.docker(arguments)?.expect_success();
    done(&["pull", "alpine:3"])?;
    done(&["version"])?;
    done(&["info"])?;
    done(&["images"])?;
    done(&["image", "inspect", "alpine:3"])?;
    done(&["image", "history", "alpine:3"])?;
    done(&["volume", "create", "data"])?;
    done(&["network", "ls"])?;
    done(&[
        "create",
        "--name",
        "box",
        "--network",
        "none",
        "-v",
        "data:/data",
        "-e",
        "A=b",
        "alpine:3",
        "sleep",
        "60",
    ])?;
    done(&["start", "box"])?;
    done(&["exec", "box", "echo", "hello"])?;
    done(&["logs", "box"])?;
    done(&["top", "box"])?;
    done(&["stats", "--no-stream", "box"])?;
    done(&["cp", "box:/bin/busybox", "/tmp/busybox"])?;
    done(&["cp", "/tmp/busybox", "box:/tmp-busybox"])?;
    done(&["pause", "box"])?;
    done(&["unpause", "box"])?;
    done(&["rename", "box", "crate"])?;
    done(&["update", "--restart", "no", "crate"])?;
    done(&["restart", "-t", "0", "crate"])?;
    done(&["commit", "crate", "acme/committed:1"])?;
    done(&["tag", "alpine:3", "acme/tagged:1"])?;
    done(&["run", "--rm", "--network", "none", "acme/tagged:1", "true"])?;
    // By ID, and by the start of it, as scripts do.
    let id = done(&["image", "inspect", "-f", "{{.Id}}", "alpine:3"])?.stdout;
    let id = id.trim();
    done(&["run", "--rm", "--network", "none", id, "true"])?;
    let short = id
        .strip_prefix("sha256:")
        .and_then(|id| id.get(..12))
        .context("an image ID is long")?;
    done(&["run", "--rm", "--network", "none", short, "true"])?;
    done(&["save", "-o", "/tmp/alpine.tar", "alpine:3"])?;
    done(&["export", "-o", "/tmp/root.tar", "crate"])?;
    done(&["kill", "crate"])?;
    done(&["rm", "crate"])?;
    done(&["volume", "rm", "data"])?;
    done(&["rmi", "acme/tagged:1"])?;
    done(&["system", "df"])?;
    done(&["container", "prune", "-f"])?;
    done(&["image", "prune", "-f"])?;
    // What brings content without a pull is refused by default, and says so.
    place
        .docker(&["load", "-i", "/tmp/alpine.tar"])?
        .expect_failure("loading images has been restricted")?;
    place
        .docker(&["import", "/tmp/root.tar", "evil/imported:1"])?
        .expect_failure("importing images has been restricted")?;
    Ok(())
}

fn registry_not_listed(place: &Place) -> Result<()> {
    let refused = place
        .docker(&["pull", "ghcr.io/acme/app:1"])?
        .expect_failure(&format!("Access to ghcr.io {RESTRICTED}"))?;
    ensure!(
        refused
            .text()
            .contains("To access this registry, ask your administrators to add it"),
        "{refused}"
    );
    ensure!(refused.text().contains(CONTACT), "{refused}");
    place
        .docker(&["push", "ghcr.io/acme/app:1"])?
        .expect_failure(RESTRICTED)?;
    place
        .docker(&[
            "plugin",
            "install",
            "--grant-all-permissions",
            "ghcr.io/acme/app:1",
        ])?
        .expect_failure(RESTRICTED)?;
    let ghcr = place.lab.ghcr();
    ensure!(
        ghcr.connections() == 0,
        "ghcr.io was reached {} times: {:?}",
        ghcr.connections(),
        ghcr.requests()
    );

    // Listed, it is reached directly, through the egress gate.
    place.policy(&policy_with(
        "registries",
        json!([{ "host": "docker.io" }, { "host": "ghcr.io", "repositories": ["acme/**"] }]),
    ))?;
    place
        .docker(&["pull", "ghcr.io/acme/app:1"])?
        .expect_success()?;
    place
        .docker(&["pull", "ghcr.io/other/thing:1"])?
        .expect_failure(&format!("Access to ghcr.io {RESTRICTED}"))?;
    place
        .docker(&["push", "ghcr.io/acme/app:1"])?
        .expect_failure("push of ghcr.io/acme/app is not allowed")?;
    Ok(())
}

fn categories(place: &Place) -> Result<()> {
    let refused = place
        .docker(&["pull", "evil/tool"])?
        .expect_failure(COMMUNITY)?;
    ensure!(
        refused.text().contains("docker-hub.community is deny"),
        "{refused}"
    );
    ensure!(
        place
            .lab
            .docker_hub()
            .requests_under("/v2/evil/")
            .is_empty(),
        "the denied image was asked for"
    );
    place.docker(&["pull", "acme/app:1"])?.expect_success()?;
    place
        .docker(&["pull", "grafana/grafana:1"])?
        .expect_success()?;
    Ok(())
}

fn cached_is_refused(place: &Place) -> Result<()> {
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    let manifest = place
        .lab
        .curl(&[
            "-sS",
            "--noproxy",
            "*",
            "http://127.0.0.1:5050/v2/library/alpine/manifests/3",
        ])?
        .expect_success()?;
    let manifest: Value = serde_json::from_str(&manifest.stdout).context("the cached manifest")?;
    let layer = manifest
        .pointer("/layers/0/digest")
        .and_then(Value::as_str)
        .context("a layer")?
        .to_owned();
    let paths = |name: &str| {
        [
            format!("/v2/library/alpine/{name}?ns=docker.io"),
            format!("/v2/library/alpine/{name}?ns=registry-1.docker.io%3A443"),
            format!("/v2/library/alpine/{name}"),
            format!("/v2/docker.io/library/alpine/{name}"),
        ]
    };
    let all: Vec<String> = paths("manifests/3")
        .into_iter()
        .chain(paths(&format!("blobs/{layer}")))
        .collect();
    for path in &all {
        let status = place.mirror_status(path)?;
        ensure!(status == "200", "{path} while allowed: {status}");
    }

    // Docker Hub comes off the list. (a) The plugin refuses a new pull.
    place.policy(&policy_with("registries", json!([{ "host": "ghcr.io" }])))?;
    place.clear()?;
    place.lab.docker_hub().forget();
    place
        .docker(&["pull", "alpine:3"])?
        .expect_failure(&format!("Access to docker.io {RESTRICTED}"))?;
    // (b) The mirror refuses what it has cached, under every name.
    for path in &all {
        let status = place.mirror_status(path)?;
        ensure!(status == "403", "{path} once denied: {status}");
    }
    // (c) Without the plugin the pull still fails, and the engine has not reached Docker Hub.
    place.lab.steer_engine(Steering {
        plugin: false,
        ..Steering::STANDARD
    })?;
    place.lab.restart_engine()?;
    let without_plugin = place.docker(&["pull", "alpine:3"]);
    let hub = place.lab.docker_hub();
    let (connections, requests) = (hub.connections(), hub.requests());
    place.lab.steer_engine(Steering::STANDARD)?;
    place.lab.restart_engine()?;
    without_plugin?.expect_failure(RESTRICTED)?;
    ensure!(connections == 0, "Docker Hub was reached: {requests:?}");

    // (d) Back on the list, it is served from the cache.
    place.policy(&base_policy())?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    ensure!(
        hub.requests_under("/v2/library/alpine/blobs/").is_empty(),
        "a cached blob was fetched again"
    );
    Ok(())
}

fn builds(place: &Place) -> Result<()> {
    for builder in Builder::ALL {
        let build = |dockerfile: &str| place.lab.build(builder, "acme/built:1", dockerfile);
        build("FROM alpine:3\nRUN echo built > /built\n")?.expect_success()?;
        let run = place
            .docker(&[
                "run",
                "--rm",
                "--network",
                "none",
                "acme/built:1",
                "cat",
                "/built",
            ])?
            .expect_success()?;
        ensure!(run.stdout == "built\n", "{builder:?}: {run}");
        build("FROM alpine:3\nADD https://files.example/hello.txt /hello.txt\n")?
            .expect_success()?;

        build("FROM evil/tool\n")?.expect_failure(RESTRICTED)?;
        build("FROM ghcr.io/other/thing:1\n")?
            .expect_failure(&format!("Access to ghcr.io {RESTRICTED}"))?;
        build("FROM alpine:3\nADD https://denied.example/hello.txt /\n")?
            .expect_failure(&format!("Access to denied.example {RESTRICTED}"))?;
        build("FROM alpine:3\nCOPY --from=evil/tool /bin/busybox /x\n")?
            .expect_failure(RESTRICTED)?;
        place.docker(&["rmi", "-f", "acme/built:1"])?;
    }
    ensure!(
        place.lab.denied_host().connections() == 0,
        "denied.example was reached"
    );
    ensure!(place.lab.ghcr().connections() == 0, "ghcr.io was reached");
    ensure!(
        place
            .lab
            .docker_hub()
            .requests_under("/v2/evil/")
            .is_empty(),
        "the denied image was asked for"
    );

    // `gated` holds only while the daemon uses the other gates.
    place.lab.steer_engine(Steering {
        egress: false,
        ..Steering::STANDARD
    })?;
    place.lab.restart_engine()?;
    // The answer about the gates is remembered for ten seconds.
    std::thread::sleep(Duration::from_secs(11));
    let ungated = place
        .lab
        .build(Builder::Classic, "acme/built:1", "FROM alpine:3\n");
    place.lab.steer_engine(Steering::STANDARD)?;
    place.lab.restart_engine()?;
    std::thread::sleep(Duration::from_secs(11));
    ungated?.expect_failure("building images is not allowed on this daemon")?;
    Ok(())
}

fn local_image(place: &Place) -> Result<()> {
    place.policy(&json!({ "version": 1 }))?;
    place.docker(&["pull", "evil/tool"])?.expect_success()?;
    place
        .docker(&[
            "create",
            "--name",
            "before",
            "--network",
            "none",
            "evil/tool",
            "true",
        ])?
        .expect_success()?;
    let id = place
        .docker(&["image", "inspect", "-f", "{{.Id}}", "evil/tool"])?
        .expect_success()?
        .stdout;
    let id = id.trim();
    let short = id
        .strip_prefix("sha256:")
        .and_then(|id| id.get(..12))
        .context("an image ID is long")?;
    place.policy(&base_policy())?;
    for name in ["evil/tool", "docker.io/evil/tool:latest", id, short] {
        place
            .docker(&["create", name, "true"])?
            .expect_failure(COMMUNITY)?;
        place
            .docker(&["run", "--rm", "--network", "none", name, "true"])?
            .expect_failure(COMMUNITY)?;
    }
    // What was created while it was allowed does not start either, and a new name does not help.
    place
        .docker(&["start", "before"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["restart", "before"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["tag", "evil/tool", "acme/good"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["tag", short, "acme/good"])?
        .expect_failure(COMMUNITY)?;
    place
        .docker(&["commit", "before", "acme/good"])?
        .expect_failure(COMMUNITY)?;
    Ok(())
}

/// What the docker command line does not send and an attacker does.
fn lying_requests(place: &Place) -> Result<()> {
    let post = |target: &str, more: &[&str]| {
        let url = format!("http://localhost{target}");
        let mut arguments = vec![
            "-sS",
            "--unix-socket",
            "/run/docker.sock",
            "-X",
            "POST",
            "-w",
            " %{http_code}",
        ];
        arguments.extend(more);
        arguments.push(&url);
        place.lab.curl(&arguments)?.expect_success()
    };
    let refused = |target: &str, more: &[&str], word: &str| -> Result<()> {
        let output = post(target, more)?;
        ensure!(output.stdout.ends_with(" 403"), "{output}");
        ensure!(
            output
                .stdout
                .contains("authorization denied by plugin ramgate"),
            "{output}"
        );
        ensure!(output.stdout.contains(word), "{output}");
        Ok(())
    };
    let json = ["-H", "Content-Type: application/json", "-d"];
    let body = |text: &'static str| [json[0], json[1], json[2], text];
    refused(
        "/v1.41/images/create?fromImage=alpine&tag=3",
        &["-d", "fromImage=evil/tool&tag=latest"],
        "form",
    )?;
    refused(
        "/v1.41/images/create?fromImage=alpine&fromImage=evil/tool&tag=3",
        &["-d", ""],
        "twice",
    )?;
    refused(
        "/v1.41/images/create?fromImage=alpine;fromImage=evil/tool",
        &["-d", ""],
        "query",
    )?;
    refused(
        "/v1.41/images/cr%65ate?fromImage=evil/tool",
        &["-d", ""],
        "escape",
    )?;
    refused(
        "/v1.041/images/create?fromImage=evil/tool",
        &["-d", ""],
        "version",
    )?;
    refused(
        "/v1.41/containers/create",
        &body(r#"{"Image":"alpine:3","image":"evil/tool"}"#),
        "twice",
    )?;
    refused(
        "/v1.41/containers/create",
        &body(r#"{"image":"evil/tool"}"#),
        "spelling",
    )?;
    refused(
        "/v1.41/containers/create",
        &body(r#"{"Image":""}"#),
        "missing or empty",
    )?;
    refused(
        "/v1.41/containers/create",
        &body(r#"{"Image":"alpine:3"} }"#),
        "JSON",
    )?;
    refused("/v1.41/brand/new", &["-d", ""], "does not know the route")?;
    refused("/v1.41/swarm/leave/", &["-d", ""], "empty components")?;
    // A body that some engines drop before the plugin sees it, and others refuse themselves.
    let padding = "x".repeat(2 << 20);
    place.lab.write_file(
        "/tmp/large.json",
        format!(r#"{{"Image":"evil/tool","Labels":{{"x":"{padding}"}}}}"#),
    )?;
    let large = post(
        "/v1.41/containers/create",
        &[
            "-H",
            "Content-Type: application/json",
            "--data-binary",
            "@/tmp/large.json",
        ],
    )?;
    ensure!(
        large.stdout.ends_with(" 403") || large.stdout.ends_with(" 500"),
        "{large}"
    );
    ensure!(
        place
            .lab
            .docker_hub()
            .requests_under("/v2/evil/")
            .is_empty(),
        "a denied image was asked for"
    );
    ensure!(
        place
            .docker(&["ps", "-aq"])?
            .expect_success()?
            .stdout
            .is_empty(),
        "a container was created"
    );
    Ok(())
}

fn fails_closed(place: &Place) -> Result<()> {
    place.lab.stop_ramgate()?;
    let refused = place.docker(&["ps"]);
    place.lab.start_ramgate()?;
    // dockerd itself tries again for some fifteen seconds before it gives up.
    refused?.expect_failure("plugin ramgate failed with error")?;
    place.docker(&["ps"])?.expect_success()?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    Ok(())
}

fn broken_policy(place: &Place) -> Result<()> {
    let before = place.count("policy not taken");
    place.lab.write_file(
        "/etc/ramgate/policy.json",
        "{ \"version\": 1, \"registrys\": [] }",
    )?;
    place.wait_for("policy not taken", before)?;
    let log = place.lab.ramgate_log();
    if !log.contains("registrys: unknown key") {
        bail!("the log does not say why: {log}");
    }
    place
        .docker(&["pull", "evil/tool"])?
        .expect_failure(COMMUNITY)?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;

    // And the audit log has a line for each of the two.
    let audit = place.lab.read_file("/var/log/ramgate/audit.jsonl")?;
    let lines: Vec<Value> = audit
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("the audit log is JSON")?;
    for (repository, decision) in [("evil/tool", "deny"), ("library/alpine", "allow")] {
        let found = lines.iter().any(|line| {
            line["repository"] == repository
                && line["decision"] == decision
                && line["gate"] == "plugin"
        });
        ensure!(
            found,
            "no line of the audit log says {decision} of {repository}"
        );
    }
    Ok(())
}
