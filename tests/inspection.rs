//! `egress.inspect` on real engines: what goes to a registry itself is judged by repository, whoever asks, with no plugin and no
//! mirror in the way.
//!
//! Names are those of engines: `cargo test --features engines --test inspection -- 28.5`.

use std::path::Path;

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Trial};
use ramgate_lab::{Builder, EngineKind, Image, Lab, LabOptions, Output, Steering};
use serde_json::{Value, json};

/// The network gate alone.
const EGRESS_ONLY: Steering = Steering {
    plugin: false,
    mirror: false,
    hosts_toml: false,
    egress: true,
};

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = EngineKind::ALL
        .into_iter()
        .map(|kind| {
            Trial::test(kind.name(), move || {
                on(kind).map_err(|error| format!("{error:#}").into())
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit()
}

fn on(kind: EngineKind) -> Result<()> {
    let lab = Lab::start(kind, &LabOptions::default())?;
    let result = set_up(&lab)
        .and_then(|()| allowed(&lab))
        .and_then(|()| refused(&lab))
        .and_then(|()| by_badge(&lab))
        .and_then(|()| untouched(&lab));
    result.map_err(|error| error.context(lab.report()))
}

/// As an administrator would: an authority, what the host trusts, and then the gates.
fn set_up(lab: &Lab) -> Result<()> {
    let ramgate = Path::new(env!("CARGO_BIN_EXE_ramgate"));
    let mut settings = Lab::inspecting_settings();
    if let Some(settings) = settings.as_object_mut() {
        let catalog = json!({ "url": "https://files.example", "ca-file": Lab::CA_FILE });
        settings.insert("catalog".to_owned(), catalog);
    }
    lab.install_ramgate(ramgate, &policy(), &settings)?;
    lab.trust_inspection()?;
    let again = ["egress", "ca", "init"];
    lab.run("/usr/local/bin/ramgate", &again)?
        .expect_failure("there is one already")?;
    let key = lab.run("stat", &["-c", "%a", "/var/lib/ramgate/inspection-ca.key"])?;
    ensure!(key.expect_success()?.stdout == "600\n", "the key is open");
    lab.start_ramgate()?;
    lab.steer_engine(EGRESS_ONLY)?;
    lab.start_engine()
}

/// By each way in.
fn allowed(lab: &Lab) -> Result<()> {
    let docker = |arguments: &[&str]| lab.docker(arguments);
    docker(&["pull", "ghcr.io/acme/app:1"])?.expect_success()?;
    docker(&["pull", "alpine:3"])?.expect_success()?;
    for builder in Builder::ALL {
        lab.build(builder, "acme/built:1", "FROM ghcr.io/acme/app:1\n")?
            .expect_success()?;
        docker(&["rmi", "-f", "acme/built:1"])?;
    }
    docker(&["tag", "alpine:3", "ghcr.io/acme/pushed:1"])?.expect_success()?;
    docker(&["push", "ghcr.io/acme/pushed:1"])?.expect_success()?;
    docker(&["rmi", "ghcr.io/acme/pushed:1"])?.expect_success()?;
    docker(&["pull", "ghcr.io/acme/pushed:1"])?.expect_success()?;
    Ok(())
}

/// By repository, category and right; and the registries hear nothing of it.
fn refused(lab: &Lab) -> Result<()> {
    let docker = |arguments: &[&str]| lab.docker(arguments);
    let foreign = "Access to ghcr.io has been restricted";
    denied(docker(&["pull", "ghcr.io/other/thing:1"])?, foreign)?;
    denied(
        docker(&["pull", "evil/tool"])?,
        "community images not allowed",
    )?;
    let plugin = [
        "plugin",
        "install",
        "--grant-all-permissions",
        "ghcr.io/other/thing:1",
    ];
    denied(docker(&plugin)?, foreign)?;
    docker(&["tag", "alpine:3", "ghcr.io/other/pushed:1"])?.expect_success()?;
    denied(docker(&["push", "ghcr.io/other/pushed:1"])?, foreign)?;
    docker(&["tag", "alpine:3", "docker.io/acme/pushed:1"])?.expect_success()?;
    denied(
        docker(&["push", "acme/pushed:1"])?,
        "push of docker.io/acme/pushed is not allowed",
    )?;
    for builder in Builder::ALL {
        let build = |dockerfile: &str| lab.build(builder, "acme/built:1", dockerfile);
        denied(build("FROM ghcr.io/other/thing:1\n")?, foreign)?;
        denied(build("FROM evil/tool\n")?, "community images not allowed")?;
        denied(
            build("FROM alpine:3\nCOPY --from=evil/tool /bin/busybox /x\n")?,
            "community images not allowed",
        )?;
    }
    for upstream in [lab.ghcr(), lab.docker_hub()] {
        for path in ["/v2/other/", "/v2/evil/", "/v2/acme/pushed/blobs/uploads"] {
            let reached = upstream.requests_under(path);
            let allowed = upstream.host() == "ghcr.io" && path.starts_with("/v2/acme/");
            ensure!(
                allowed || reached.is_empty(),
                "{path} was reached: {reached:?}"
            );
        }
    }
    Ok(())
}

/// By what Docker Hub says of a namespace, where nothing but the network gate is asked.
fn by_badge(lab: &Lab) -> Result<()> {
    for (repository, badge) in [
        ("publisher/app", "verified_publisher"),
        ("project/app", "open_source"),
    ] {
        let image = Image::busybox(&format!("docker.io/{repository}:1"))?;
        lab.docker_hub().push(repository, "1", &image)?;
        let namespace = repository.split('/').next().unwrap_or_default();
        let organization = json!({ "orgname": namespace, "badge": badge }).to_string();
        let path = format!("/v2/orgs/{namespace}/");
        lab.files_host().put_file(&path, organization)?;
    }
    lab.docker_hub().forget();
    lab.docker(&["pull", "publisher/app:1"])?.expect_success()?;
    let sponsored = "sponsored open source images not allowed";
    denied(lab.docker(&["pull", "project/app:1"])?, sponsored)?;
    for builder in Builder::ALL {
        let build = |from: &str| lab.build(builder, "acme/built:1", &format!("FROM {from}:1\n"));
        build("publisher/app")?.expect_success()?;
        denied(build("project/app")?, sponsored)?;
        lab.docker(&["rmi", "-f", "acme/built:1"])?;
    }
    let reached = lab.docker_hub().requests_under("/v2/project/");
    ensure!(reached.is_empty(), "it was asked for: {reached:?}");
    let asked = lab.files_host().requests_under("/v2/orgs/project/").len();
    ensure!(asked == 1, "Docker Hub was asked {asked} times");
    Ok(())
}

/// Hosts that are no registries are not decrypted: the certificate is the site's own.
fn untouched(lab: &Lab) -> Result<()> {
    let site = lab.curl(&[
        "--proxy",
        "http://127.0.0.1:5051",
        "--cacert",
        Lab::CA_FILE,
        "https://files.example/hello.txt",
    ])?;
    ensure!(
        site.expect_success()?.stdout == "hello from files.example\n",
        "files.example"
    );
    let fronted = lab.curl(&[
        "--proxy",
        "http://127.0.0.1:5051",
        "--header",
        "Host: files.example",
        "https://ghcr.io/v2/",
    ])?;
    ensure!(
        fronted
            .expect_success()?
            .stdout
            .contains("names another host"),
        "fronting"
    );
    Ok(())
}

fn denied(output: Output, words: &str) -> Result<()> {
    output.expect_failure(words)?;
    Ok(())
}

/// There is no plugin here to ask about builds.
fn policy() -> Value {
    let mut policy = Lab::strict_policy();
    if let Some(local) = policy.pointer_mut("/local-images") {
        *local = json!({ "build": "allow", "unknown": "allow" });
    }
    if let Some(hub) = policy
        .pointer_mut("/docker-hub")
        .and_then(Value::as_object_mut)
    {
        hub.insert("verified-publisher".to_owned(), json!("allow"));
    }
    policy
}
