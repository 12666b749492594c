//! What `ramgate doctor` says can be done is done, and what it says cannot be done is tried.

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::{Builder, Lab, Output, Steering};
use serde_json::{Value, json};

use super::place::{Place, RESTRICTED, policy_with};

/// Something to try for one field of the map.
struct Act {
    path: &'static str,
    granularity: &'static str,
    /// Whether it went through.
    passes: fn(&Place) -> Result<(bool, Output)>,
}

pub(super) fn coverage(place: &Place) -> Result<()> {
    let result = levels(place);
    place.lab.steer_engine(Steering::STANDARD)?;
    place.lab.restart_engine()?;
    result
}

fn levels(place: &Place) -> Result<()> {
    place.lab.steer_engine(Steering::default())?;
    place.lab.restart_engine()?;
    place.docker(&["pull", "alpine:3"])?.expect_success()?;
    place
        .docker(&["save", "-o", ARCHIVE, "alpine:3"])?
        .expect_success()?;
    place.docker(&["pull", "evil/tool"])?.expect_success()?;
    let open = tried(place, "none", &ACTS)?;
    ensure!(
        open == ACTS.len(),
        "of {} fields {open} are open",
        ACTS.len()
    );

    place.clear()?;
    place.docker(&["pull", "evil/tool"])?.expect_success()?;
    place.lab.steer_engine(Steering {
        plugin: true,
        ..Steering::default()
    })?;
    place.lab.restart_engine()?;
    tried(place, "plugin", &ACTS)?;

    place.clear()?;
    place.lab.steer_engine(Steering::STANDARD)?;
    place.lab.restart_engine()?;
    let open = tried(place, "standard", &ACTS)?;
    ensure!(open == 0, "{open} fields are open at level standard");
    let doctor = doctor(place)?;
    ensure!(doctor.status.code() == Some(0), "{doctor}");
    // For people.
    place.lab.run(RAMGATE, &["doctor"])?.expect_success()?;

    // Rules for repositories of a registry that is reached directly hold for names alone.
    place.policy(&policy_with(
        "registries",
        json!([{ "host": "docker.io" }, { "host": "ghcr.io", "repositories": ["acme/**"] }]),
    ))?;
    place.clear()?;
    let open = tried(place, "standard, with repositories", &REPOSITORIES)?;
    ensure!(open == 2, "{open} fields are open");

    // What is only logged is not enforced.
    place.policy(&policy_with("mode", json!("audit")))?;
    place.clear()?;
    let open = tried(place, "audit", &ACTS[1..2])?;
    ensure!(open == 1, "{open} fields are open in mode audit");
    place.policy(&Lab::policy())
}

/// Tries `acts`; how many of them doctor calls open.
fn tried(place: &Place, level: &str, acts: &[Act]) -> Result<usize> {
    let doctor = doctor(place)?;
    let report: Value = serde_json::from_str(&doctor.stdout).with_context(|| doctor.to_string())?;
    let cells = report.get("coverage").and_then(Value::as_array);
    let cells = cells.context("there is no map")?;
    let mut open = 0;
    for act in acts {
        let field = format!("{level}: {} by {}", act.path, act.granularity);
        let cell = cells
            .iter()
            .find(|cell| cell["path"] == act.path && cell["granularity"] == act.granularity)
            .with_context(|| format!("no field {field}"))?;
        let (passes, output) = (act.passes)(place).with_context(|| field.clone())?;
        let expected = if passes { "open" } else { "enforced" };
        ensure!(
            cell["state"] == expected,
            "{field}: doctor says {cell}, and it is {expected}: {output}"
        );
        open += usize::from(passes);
    }
    let code = doctor.status.code();
    ensure!(code == Some(1) || open == 0, "{level}: {doctor}");
    Ok(open)
}

fn doctor(place: &Place) -> Result<Output> {
    place.lab.run(RAMGATE, &["doctor", "--json"])
}

/// It went through if it succeeded.
fn succeeds(output: Output) -> (bool, Output) {
    (output.status.success(), output)
}

/// Where there is nothing to get: it went through if no administrator restricted it.
fn is_not_restricted(output: Output) -> (bool, Output) {
    (!output.text().contains(RESTRICTED), output)
}

fn build(place: &Place, builder: Builder, dockerfile: &str) -> Result<(bool, Output)> {
    place
        .lab
        .build(builder, "tried:1", dockerfile)
        .map(succeeds)
}

/// What an earlier build left of denied images would be refused to a later one.
fn build_alone(place: &Place, builder: Builder, dockerfile: &str) -> Result<(bool, Output)> {
    place.clear()?;
    build(place, builder, dockerfile)
}

fn docker(place: &Place, arguments: &[&str]) -> Result<(bool, Output)> {
    place.docker(arguments).map(succeeds)
}

const ACTS: [Act; 12] = [
    Act {
        path: "run",
        granularity: "category",
        passes: |place| {
            let run = [
                "run",
                "--rm",
                "--network",
                "none",
                "evil/tool",
                "echo",
                "runs",
            ];
            docker(place, &run)
        },
    },
    Act {
        path: "pull",
        granularity: "category",
        passes: |place| docker(place, &["pull", "evil/tool"]),
    },
    Act {
        path: "pull",
        granularity: "registry",
        passes: |place| docker(place, &["pull", "ghcr.io/other/thing:1"]),
    },
    Act {
        path: "push",
        granularity: "registry",
        passes: |place| {
            let push = place.docker(&["push", "ghcr.io/other/thing:1"])?;
            Ok(is_not_restricted(push))
        },
    },
    Act {
        path: "plugin-install",
        granularity: "registry",
        passes: |place| {
            let name = "ghcr.io/other/thing:1";
            let install = ["plugin", "install", "--grant-all-permissions", name];
            Ok(is_not_restricted(place.docker(&install)?))
        },
    },
    Act {
        path: "load",
        granularity: "digest",
        passes: |place| docker(place, &["load", "-i", ARCHIVE]),
    },
    Act {
        path: "import",
        granularity: "digest",
        passes: |place| docker(place, &["import", ARCHIVE, "imported:1"]),
    },
    Act {
        path: "classic-build",
        granularity: "registry",
        passes: |place| build(place, Builder::Classic, "FROM ghcr.io/other/thing:1\n"),
    },
    Act {
        path: "classic-build",
        granularity: "category",
        passes: |place| build(place, Builder::Classic, "FROM evil/tool\n"),
    },
    Act {
        path: "build-kit",
        granularity: "registry",
        passes: |place| build(place, Builder::BuildKit, "FROM ghcr.io/other/thing:1\n"),
    },
    Act {
        path: "build-kit",
        granularity: "category",
        passes: |place| build(place, Builder::BuildKit, "FROM evil/tool\n"),
    },
    Act {
        path: "add-url",
        granularity: "registry",
        passes: |place| {
            let dockerfile = "FROM scratch\nADD https://denied.example/hello.txt /\n";
            build(place, Builder::BuildKit, dockerfile)
        },
    },
];

const REPOSITORIES: [Act; 3] = [
    Act {
        path: "pull",
        granularity: "repository",
        passes: |place| docker(place, &["pull", "ghcr.io/other/thing:1"]),
    },
    Act {
        path: "build-kit",
        granularity: "repository",
        passes: |place| build_alone(place, Builder::BuildKit, "FROM ghcr.io/other/thing:1\n"),
    },
    Act {
        path: "classic-build",
        granularity: "repository",
        passes: |place| build_alone(place, Builder::Classic, "FROM ghcr.io/other/thing:1\n"),
    },
];

const RAMGATE: &str = "/usr/local/bin/ramgate";
const ARCHIVE: &str = "/tmp/alpine.tar";
