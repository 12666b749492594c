//! Docker Hub's categories on a real engine: what is asked, what it changes, and how long it holds.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ramgate_lab::{Builder, Image, Output};
use serde_json::{Value, json};

use super::place::{Place, RESTRICTED, policy_with};

/// An organization as Docker Hub's API answers it, at the stand-in for its API.
fn badge(place: &Place, namespace: &str, badge: &str) -> Result<()> {
    let organization = json!({ "orgname": namespace, "badge": badge });
    place
        .lab
        .files_host()
        .put_file(&format!("/v2/orgs/{namespace}/"), organization.to_string())
}

pub(super) fn by_badge(place: &Place) -> Result<()> {
    // Expired at once, and used no longer than that.
    let short = json!({ "ttl": "2s", "negative-ttl": "2s", "stale-while-revalidate": "0s" });
    with_catalog(place, &short, || judged_by_badge(place))
}

/// Acts while ramgate asks the stand-in for Docker Hub's API.
fn with_catalog(place: &Place, times: &Value, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut catalog =
        json!({ "url": "https://files.example", "ca-file": ramgate_lab::Lab::CA_FILE });
    let mut settings = ramgate_lab::Lab::settings();
    if let (Some(catalog), Some(times)) = (catalog.as_object_mut(), times.as_object()) {
        catalog.extend(times.clone());
    }
    if let Some(settings) = settings.as_object_mut() {
        settings.insert("catalog".to_owned(), catalog);
    }
    place.lab.write_settings(&settings)?;
    place.lab.stop_ramgate()?;
    place.lab.start_ramgate()?;
    let acted = act();
    place.lab.write_settings(&ramgate_lab::Lab::settings())?;
    place.lab.stop_ramgate()?;
    place.lab.start_ramgate()?;
    acted
}

fn judged_by_badge(place: &Place) -> Result<()> {
    let hub = json!({ "official": "allow", "verified-publisher": "allow" });
    place.policy(&policy_with("docker-hub", hub))?;
    let asked = || {
        place
            .lab
            .files_host()
            .requests_under("/v2/orgs/evil/")
            .len()
    };

    badge(place, "evil", "verified_publisher")?;
    place.docker(&["pull", "evil/tool"])?.expect_success()?;
    // The plugin, then the mirror with every manifest and blob, and docker all asked: Docker Hub hears of it once while it lasts.
    ensure!(asked() <= 2, "Docker Hub was asked {} times", asked());
    place
        .docker(&["run", "--rm", "--network", "none", "evil/tool", "true"])?
        .expect_success()?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    ensure!(
        place
            .lab
            .files_host()
            .requests_under("/v2/orgs/library/")
            .is_empty(),
        "what `library` is, its name says"
    );

    // The badge is withdrawn: once expired, what is on the host does not run, nor does the mirror serve what it has.
    badge(place, "evil", "")?;
    std::thread::sleep(Duration::from_secs(3));
    let text = "community images not allowed: docker.io/evil/tool";
    place
        .docker(&["run", "--rm", "--network", "none", "evil/tool", "true"])?
        .expect_failure(text)?;
    place.docker(&["pull", "evil/tool"])?.expect_failure(text)?;
    let status = place.mirror_status("/v2/evil/tool/manifests/latest?ns=docker.io")?;
    ensure!(status == "403", "{status}");

    // Docker Hub is away: what is not known counts as community, in good time, and the text says why.
    let files = place.lab.files_host();
    files.set_fault(Some(ramgate_lab::Fault::Answer(
        http::StatusCode::BAD_GATEWAY,
    )));
    std::thread::sleep(Duration::from_secs(3));
    let refused = place.docker(&["pull", "evil/tool"]);
    files.set_fault(None);
    refused?.expect_failure("Docker Hub could not be asked")?;
    Ok(())
}

/// A publisher, who may; a sponsored project and somebody, who may not.
const PUBLISHER: &str = "publisher/app";
const REFUSED: [(&str, &str); 2] = [
    ("project/app", "sponsored open source"),
    ("somebody/app", "community"),
];

pub(super) fn everywhere(place: &Place) -> Result<()> {
    for repository in [PUBLISHER, REFUSED[0].0, REFUSED[1].0] {
        let image = |host: &str| Image::busybox(&format!("{host}/{repository}:1"));
        let hub = place.lab.docker_hub();
        hub.push(repository, "1", &image("docker.io")?)?;
        let copy = format!("hub/{repository}");
        place.lab.ghcr().push(&copy, "1", &image("ghcr.io/hub")?)?;
    }
    badge(place, "publisher", "verified_publisher")?;
    badge(place, "project", "open_source")?;
    badge(place, "somebody", "")?;
    let mut policy = policy_with(
        "docker-hub",
        json!({ "official": "allow", "verified-publisher": "allow" }),
    );
    if let Some(policy) = policy.as_object_mut() {
        let registries = json!([{ "host": "docker.io" }, { "host": "ghcr.io" }]);
        policy.insert("registries".to_owned(), registries);
        let origins = json!([{ "prefix": "ghcr.io/hub/", "origin": "docker.io/" }]);
        policy.insert("origins".to_owned(), origins);
    }
    with_catalog(place, &json!({}), || {
        place.policy(&policy)?;
        in_builds(place)?;
        by_another_name(place)?;
        in_services(place)?;
        place.clear()?;
        once_withdrawn(place)
    })
}

fn in_builds(place: &Place) -> Result<()> {
    for builder in Builder::ALL {
        let build = |from: &str| {
            let dockerfile = format!("FROM {from}:1\nRUN true\n");
            place.lab.build(builder, "own/built:1", &dockerfile)
        };
        build(PUBLISHER)?.expect_success()?;
        place.docker(&["rmi", "-f", "own/built:1"])?;
        for (repository, category) in REFUSED {
            // The classic puller goes on to Docker Hub itself, and shows where that ends.
            let classic = builder == Builder::Classic && !place.lab.kind().has_containerd_store();
            let words = if classic {
                format!("Access to docker.io {RESTRICTED}")
            } else {
                refusal(repository, category)
            };
            build(repository)?.expect_failure(&words)?;
        }
    }
    Ok(())
}

/// A registry of which the policy says that it is a mirror of Docker Hub.
fn by_another_name(place: &Place) -> Result<()> {
    let name = |repository: &str| format!("ghcr.io/hub/{repository}:1");
    place
        .docker(&["pull", &name(PUBLISHER)])?
        .expect_success()?;
    for (repository, category) in REFUSED {
        let refused = place.docker(&["pull", &name(repository)])?;
        refused
            .expect_failure(&refusal(repository, category))?
            .expect_failure("serves content of another origin")?;
    }
    Ok(())
}

fn in_services(place: &Place) -> Result<()> {
    place.clear()?;
    let init = ["swarm", "init", "--advertise-addr", "127.0.0.1"];
    place.docker(&init)?.expect_success()?;
    let served = services(place);
    place.docker(&["swarm", "leave", "--force"])?;
    served
}

fn services(place: &Place) -> Result<()> {
    // The node pulls what is not there by itself, and is served by the mirror as anybody is.
    service(place, "allowed", PUBLISHER)?.expect_success()?;
    let started = Instant::now();
    let running = ["ps", "-q", "--filter", "name=allowed"];
    while place.docker(&running)?.expect_success()?.stdout.is_empty() {
        ensure!(
            started.elapsed() < Duration::from_secs(30),
            "the service does not run: {}",
            place.docker(&["service", "ps", "--no-trunc", "allowed"])?
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    for (index, (repository, category)) in REFUSED.into_iter().enumerate() {
        let refused = service(place, &format!("refused-{index}"), repository)?;
        refused.expect_failure(&refusal(repository, category))?;
    }
    Ok(())
}

fn service(place: &Place, name: &str, repository: &str) -> Result<Output> {
    let image = format!("{repository}:1");
    let create = ["service", "create", "--detach", "--network", "host"];
    let what = ["--name", name, &image, "sleep", "600"];
    place.docker(&[&create[..], &what].concat())
}

/// What is on the host and in the cache while the badge is withdrawn: nothing of it is used any more.
fn once_withdrawn(place: &Place) -> Result<()> {
    let image = Image::busybox(&format!("docker.io/{PUBLISHER}:1"))?;
    let cached = [
        format!(
            "/v2/{PUBLISHER}/manifests/{}?ns=docker.io",
            image.manifest_digest()
        ),
        format!(
            "/v2/{PUBLISHER}/blobs/{}?ns=docker.io",
            image.layer_digest()
        ),
    ];
    let tagged = format!("{PUBLISHER}:1");
    let create = [
        "create",
        "--name",
        "made",
        "--network",
        "none",
        &tagged,
        "true",
    ];
    place.docker(&["pull", &tagged])?.expect_success()?;
    place.docker(&create)?.expect_success()?;
    for path in &cached {
        let status = place.mirror_status(path)?;
        ensure!(status == "200", "{path}: {status}");
    }

    badge(place, "publisher", "")?;
    place
        .lab
        .run(
            "/usr/local/bin/ramgate",
            &["catalog", "refresh", "publisher"],
        )?
        .expect_success()?;
    let words = refusal(PUBLISHER, "community");
    for path in &cached {
        let status = place.mirror_status(path)?;
        ensure!(status == "403", "{path}, withdrawn: {status}");
    }
    place.docker(&["start", "made"])?.expect_failure(&words)?;
    place
        .docker(&["run", "--rm", &tagged, "true"])?
        .expect_failure(&words)?;
    place.docker(&["pull", &tagged])?.expect_failure(&words)?;
    // A build could begin with it unseen. Refused, buildx tries a builder of its own, which is refused as well.
    for (builder, words) in [
        (Builder::Classic, "which is on this host: remove it"),
        (Builder::BuildKit, "denied by plugin ramgate"),
    ] {
        let built = place.lab.build(builder, "own/built:1", "FROM alpine:3\n")?;
        built.expect_failure(words)?;
    }
    Ok(())
}

fn refusal(repository: &str, category: &str) -> String {
    format!("image access denied: {category} images not allowed: docker.io/{repository}")
}
