//! The steps of the demo, in the order they are shown. Each begins where the one before it ended.

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{Builder, Steering};
use serde_json::Value;

use crate::page::Gate;
use crate::stage::Stage;

type Step = fn(&Stage<'_>) -> Result<()>;

/// Every step, with its title.
pub(crate) const STEPS: [(&str, Step); 5] = [
    (
        "An official image comes through the mirror, and runs",
        official_image,
    ),
    (
        "A registry that is not on the list is refused, and not even asked",
        registry_not_listed,
    ),
    ("Of Docker Hub, only what the policy names", categories),
    (
        "What was pulled yesterday is refused today, once Docker Hub is off the list",
        cached_is_refused,
    ),
    ("Builds get what pulls get", builds),
];

fn official_image(stage: &Stage<'_>) -> Result<()> {
    let pull = stage.docker(&["pull", "alpine:3"])?;
    stage.passes(
        &pull,
        Gate::Engine,
        "alpine is an official image, and those are allowed",
    )?;
    let requests = stage.lab.docker_hub().requests();
    let by_ramgate = |agent: &str| agent.starts_with("ramgate");
    ensure!(
        !requests.is_empty()
            && requests
                .iter()
                .all(|request| by_ramgate(&request.user_agent)),
        "Docker Hub should have been asked by ramgate and by nobody else: {requests:?}"
    );
    stage.page.shown(
        Gate::Registry,
        &format!(
            "requests at Docker Hub: {} by ramgate, 0 by the engine",
            requests.len()
        ),
    )?;
    let run = stage.docker(&[
        "run",
        "--rm",
        "--network=none",
        "alpine:3",
        "echo",
        "it runs",
    ])?;
    ensure!(run.stdout == "it runs\n", "this should have run");
    stage.passes(&run, Gate::Engine, "what may be pulled may run")
}

fn registry_not_listed(stage: &Stage<'_>) -> Result<()> {
    let pull = stage.docker(&["pull", "ghcr.io/acme/app:1"])?;
    stage.fails(
        &pull,
        &format!("Access to ghcr.io {ACCESS}"),
        Gate::Engine,
        "refused, in words that say why and whom to ask",
    )?;
    stage.untouched(stage.lab.ghcr(), Gate::All)
}

fn categories(stage: &Stage<'_>) -> Result<()> {
    let hub = stage.lab.docker_hub();
    hub.forget();
    let pull = stage.docker(&["pull", "evil/tool"])?;
    stage.fails(
        &pull,
        COMMUNITY,
        Gate::Engine,
        "a community image is refused by its category",
    )?;
    stage.untouched(hub, Gate::All)?;
    let pull = stage.docker(&["pull", "acme/app:1"])?;
    stage.passes(
        &pull,
        Gate::Engine,
        "an image of one's own organization is allowed",
    )?;
    let pull = stage.docker(&["pull", "grafana/grafana:1"])?;
    stage.passes(
        &pull,
        Gate::Engine,
        "and so is a community image that the policy names",
    )
}

fn cached_is_refused(stage: &Stage<'_>) -> Result<()> {
    let hub = stage.lab.docker_hub();
    let layer = layer_of_alpine(stage)?;
    stage.allow_registries(r#"[{ "host": "ghcr.io" }]"#)?;
    stage.forget_images()?;
    hub.forget();

    let pull = stage.docker(&["pull", "alpine:3"])?;
    let words = format!("Access to docker.io {ACCESS}");
    stage.fails(&pull, &words, Gate::Engine, "a new pull is refused")?;

    stage
        .page
        .note("the mirror still has the image on its disk; here is its manifest, then its layer")?;
    for content in ["manifests/3", &format!("blobs/{layer}")] {
        for path in [
            format!("/v2/library/alpine/{content}"),
            format!("/v2/library/alpine/{content}?ns=docker.io"),
            format!("/v2/docker.io/library/alpine/{content}"),
        ] {
            let status = stage.mirror_status(&path)?;
            ensure!(status == "403", "`{path}` should be refused: {status}");
        }
    }
    stage.page.shown(
        Gate::Registry,
        "the policy is asked before the cache, under each of the three addresses",
    )?;

    let off = Steering {
        plugin: false,
        ..Steering::STANDARD
    };
    stage.steer(
        off,
        "the plugin is taken out of daemon.json, and dockerd restarted",
    )?;
    let pull = stage.docker(&["pull", "alpine:3"])?;
    stage.fails(
        &pull,
        ACCESS,
        Gate::Network,
        "refused by the mirror, Docker turns to Docker Hub itself, and that ends here",
    )?;
    stage.untouched(hub, Gate::All)?;

    stage.steer(
        Steering::STANDARD,
        "the plugin is put back, and dockerd restarted",
    )?;
    stage.allow_registries(r#"[{ "host": "docker.io" }]"#)?;
    let pull = stage.docker(&["pull", "alpine:3"])?;
    stage.passes(&pull, Gate::Engine, "allowed again")?;
    let fetched = hub.requests_under("/v2/library/alpine/blobs/");
    ensure!(
        fetched.is_empty(),
        "cached content was fetched again: {fetched:?}"
    );
    stage.page.shown(
        Gate::Registry,
        "served from the cache; configs and layers fetched from Docker Hub: 0",
    )
}

/// The digest of the layer of `alpine:3`, as the mirror has it.
fn layer_of_alpine(stage: &Stage<'_>) -> Result<String> {
    let at = |name: &str| -> Result<Value> {
        let url = format!("http://127.0.0.1:5050/v2/library/alpine/manifests/{name}");
        let answer = stage.lab.curl(&["--fail", &url])?.expect_success()?;
        serde_json::from_str(&answer.stdout).context("a manifest at the mirror")
    };
    let digest = |value: &Value, pointer: &str| -> Option<String> {
        Some(value.pointer(pointer)?.as_str()?.to_owned())
    };
    let mut manifest = at("3")?;
    if let Some(one) = digest(&manifest, "/manifests/0/digest") {
        manifest = at(&one)?;
    }
    digest(&manifest, "/layers/0/digest").context("alpine has no layer")
}

fn builds(stage: &Stage<'_>) -> Result<()> {
    for builder in Builder::ALL {
        let name = match builder {
            Builder::BuildKit => "BuildKit, which fetches past the plugin",
            Builder::Classic => "the classic builder",
        };
        stage.page.note(name)?;
        let built = stage.build(builder, "FROM alpine:3\nRUN echo built > /built")?;
        stage.passes(&built, Gate::Registry, "an official image to build from")?;
        let build = stage.build(builder, "FROM evil/tool")?;
        let (gate, words) = refusal_of_community(stage, builder);
        stage.fails(
            &build,
            words,
            gate,
            "a community image is refused in `FROM` too",
        )?;
        let build = stage.build(builder, "FROM ghcr.io/other/thing:1")?;
        let words = format!("Access to ghcr.io {ACCESS}");
        stage.fails(
            &build,
            &words,
            Gate::Network,
            "and so is a registry that is not listed",
        )?;
        let build = stage.build(
            builder,
            "FROM alpine:3\nADD https://denied.example/hello.txt /",
        )?;
        let words = format!("Access to denied.example {ACCESS}");
        stage.fails(
            &build,
            &words,
            Gate::Network,
            "and so is any other host in `ADD`",
        )?;
    }
    stage.page.note("and on the other side")?;
    let asked = stage.lab.docker_hub().requests_under("/v2/evil/");
    ensure!(asked.is_empty(), "evil/tool was asked for: {asked:?}");
    stage
        .page
        .shown(Gate::All, "requests for evil/tool at Docker Hub: 0")?;
    stage.untouched(stage.lab.ghcr(), Gate::All)?;
    stage.untouched(stage.lab.denied_host(), Gate::All)
}

/// The mirror refuses and that is that; but the puller without containerd takes the mirror for broken, turns to Docker Hub itself,
/// and shows what it met there.
fn refusal_of_community(stage: &Stage<'_>, builder: Builder) -> (Gate, &'static str) {
    if builder == Builder::Classic && !stage.lab.kind().has_containerd_store() {
        (Gate::Network, ACCESS)
    } else {
        (Gate::Registry, COMMUNITY)
    }
}

const ACCESS: &str = "has been restricted by your administrators";
const COMMUNITY: &str = "image access denied: community images not allowed: docker.io/evil/tool";
