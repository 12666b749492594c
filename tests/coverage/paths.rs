//! The ways to an image, and how each is gone.

use anyhow::Result;
use ramgate_lab::{Builder, EngineKind, Lab, Output};

use crate::acts::{add, build, buildx, copy, from, install, login, push, search, service};
use crate::target::Target;

/// A way to an image.
pub(crate) struct Path {
    pub(crate) title: &'static str,
    pub(crate) targets: &'static [Target],
    /// Whether an engine does not have it.
    pub(crate) absent: fn(EngineKind) -> bool,
    pub(crate) go: fn(&Lab, Target) -> Result<Output>,
    pub(crate) passes: Passes,
}

/// What shows that it went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passes {
    /// The command succeeds.
    Success,
    /// The registry or host has served something: what is served is not what the command wants of it, so that it fails then.
    Served,
}

const fn nowhere(_: EngineKind) -> bool {
    false
}

/// The Dockerfile frontend of its BuildKit knows no `ADD` of git repositories.
fn before_add_git(kind: EngineKind) -> bool {
    kind == EngineKind::Docker20_10
}

const IMAGES: &[Target] = &[
    Target::Hub,
    Target::Registry,
    Target::DeniedHost,
    Target::DeniedRepository,
    Target::DeniedCategory,
];
const HOSTS: &[Target] = &[Target::Host, Target::DeniedHost];

pub(crate) const PATHS: [Path; 18] = [
    Path {
        title: "pull",
        targets: IMAGES,
        absent: nowhere,
        go: |lab, target| lab.docker(&["pull", target.image()]),
        passes: Passes::Success,
    },
    Path {
        title: "run",
        targets: IMAGES,
        absent: nowhere,
        go: |lab, target| lab.docker(&["run", "--rm", "--network", "none", target.image(), "true"]),
        passes: Passes::Success,
    },
    Path {
        title: "`FROM`, classic builder",
        targets: IMAGES,
        absent: nowhere,
        go: |lab, target| build(lab, Builder::Classic, &from(target)),
        passes: Passes::Success,
    },
    Path {
        title: "`COPY --from`, classic builder",
        targets: IMAGES,
        absent: nowhere,
        go: |lab, target| build(lab, Builder::Classic, &copy(target)),
        passes: Passes::Success,
    },
    Path {
        title: "`ADD https://`, classic builder",
        targets: HOSTS,
        absent: nowhere,
        go: |lab, target| build(lab, Builder::Classic, &add(target)),
        passes: Passes::Success,
    },
    Path {
        title: "git context, left to the engine, classic builder",
        targets: HOSTS,
        absent: nowhere,
        go: |lab, target| {
            // The docker command fetches it itself and sends what it has; others leave it to the engine.
            let url = format!(
                "http://engine/v1.40/build?remote=https://{}/app.git",
                target.host()
            );
            lab.curl(&[
                "--unix-socket",
                "/run/docker.sock",
                "--request",
                "POST",
                &url,
            ])
        },
        passes: Passes::Served,
    },
    Path {
        title: "`FROM`, BuildKit",
        targets: IMAGES,
        absent: nowhere,
        go: |lab, target| build(lab, Builder::BuildKit, &from(target)),
        passes: Passes::Success,
    },
    Path {
        title: "`COPY --from`, BuildKit",
        targets: IMAGES,
        absent: nowhere,
        go: |lab, target| build(lab, Builder::BuildKit, &copy(target)),
        passes: Passes::Success,
    },
    Path {
        title: "`# syntax=`",
        targets: IMAGES,
        absent: nowhere,
        go: |lab, target| {
            let dockerfile = format!("# syntax={}\nFROM alpine:3\n", target.image());
            build(lab, Builder::BuildKit, &dockerfile)
        },
        passes: Passes::Served,
    },
    Path {
        title: "`--cache-from`",
        targets: IMAGES,
        absent: nowhere,
        go: |lab, target| {
            let source = format!("type=registry,ref={}", target.image());
            buildx(lab, &["--cache-from", &source, "-"])
                .stdin("FROM alpine:3\nRUN true\n")
                .run()
        },
        passes: Passes::Served,
    },
    Path {
        title: "`ADD https://`, BuildKit",
        targets: HOSTS,
        absent: nowhere,
        go: |lab, target| build(lab, Builder::BuildKit, &add(target)),
        passes: Passes::Success,
    },
    Path {
        title: "`ADD` git",
        targets: HOSTS,
        absent: before_add_git,
        go: |lab, target| {
            let host = target.host();
            let dockerfile = format!("FROM alpine:3\nADD https://{host}/app.git#main /added\n");
            build(lab, Builder::BuildKit, &dockerfile)
        },
        passes: Passes::Served,
    },
    Path {
        title: "git context, BuildKit",
        targets: HOSTS,
        absent: nowhere,
        go: |lab, target| {
            let repository = format!("https://{}/app.git", target.host());
            buildx(lab, &[&repository]).run()
        },
        passes: Passes::Served,
    },
    Path {
        title: "`plugin install`",
        targets: IMAGES,
        absent: nowhere,
        go: install,
        passes: Passes::Success,
    },
    Path {
        title: "swarm service",
        targets: IMAGES,
        absent: nowhere,
        go: service,
        passes: Passes::Success,
    },
    Path {
        title: "push",
        targets: &[
            Target::Registry,
            Target::DeniedHost,
            Target::DeniedRepository,
            Target::DeniedCategory,
            Target::DeniedAction,
        ],
        absent: nowhere,
        go: push,
        passes: Passes::Success,
    },
    Path {
        title: "login",
        targets: &[Target::Hub, Target::Registry, Target::DeniedHost],
        absent: nowhere,
        go: login,
        passes: Passes::Success,
    },
    Path {
        title: "search",
        targets: &[Target::Hub, Target::DeniedHost],
        absent: nowhere,
        go: search,
        passes: Passes::Success,
    },
];
