//! Level `strict`: what goes to registries themselves is judged by repository, and nobody but the engine trusts what that takes.

use anyhow::{Context as _, Result, ensure};
use ramgate_lab::Lab;

use crate::installing::{self, Site, same};

pub(crate) fn registries_are_read_and_the_engine_alone_trusts_it(
    lab: &Lab,
    site: &Site<'_>,
) -> Result<()> {
    lab.write_file("/root/policy.json", POLICY)?;
    lab.write_file("/etc/ramgate/settings.json", SETTINGS)?;
    let before = site.trace()?;
    let install = [
        "install",
        "--yes",
        "--level=strict",
        "--policy=/root/policy.json",
    ];
    let shown = site
        .ramgate(&[&install[..], &["--dry-run"]].concat())?
        .expect_success()?;
    ensure!(shown.stdout.contains("read on the way"), "{shown}");
    ensure!(!shown.stdout.contains("PRIVATE KEY"), "{shown}");
    site.ramgate(&install)?.expect_success()?;
    let key = ["--format=%a", "/var/lib/ramgate/inspection-ca.key"];
    let key = site.run("stat", &key)?;
    ensure!(key.stdout == "600\n", "{key}");
    installing::doctor_is_content(site)?;
    repositories_are_judged(lab, site)?;
    others_do_not_trust_it(site)?;
    let again = site.ramgate(&["install", "--yes"])?.expect_success()?;
    ensure!(again.stdout.contains("there is nothing to do"), "{again}");
    installing::an_upgrade_costs_no_call(lab, site)?;
    repositories_are_judged(lab, site)?;

    // Another registry takes another authority, and the engine is to trust it in its turn.
    let more = ["install", "--yes", "--registry", "files.example"];
    let told = site.ramgate(&more)?.expect_success()?;
    ensure!(told.stdout.contains("restart the engine"), "{told}");
    installing::doctor_is_content(site)?;
    repositories_are_judged(lab, site)?;
    site.ramgate(&["install", "--yes", "--level=standard"])?
        .expect_failure("level strict is installed, which is more than standard")?;

    site.ramgate(&["uninstall", "--yes", "--purge"])?
        .expect_success()?;
    installing::docker_is_as_it_was(lab, site)?;
    same(&before, &site.trace()?).context("level strict leaves what was before")
}

/// Of a registry that the engine reaches itself: by builds too, which no name in a request tells of.
fn repositories_are_judged(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let docker = |arguments: &[&str]| site.run("docker", arguments);
    let build = |dockerfile: &str| {
        site.shell(&format!(
            "printf '{dockerfile}' | DOCKER_BUILDKIT=0 docker build --pull --network none -"
        ))
    };
    for image in ["alpine:3", "ghcr.io/acme/app:1"] {
        docker(&["pull", image])?.expect_success()?;
        build(&format!("FROM {image}\\nRUN true\\n"))?.expect_success()?;
    }
    lab.ghcr().forget();
    for (image, why) in [
        (
            "ghcr.io/other/thing:1",
            "Access to ghcr.io has been restricted",
        ),
        ("evil/tool", "community images not allowed"),
    ] {
        docker(&["pull", image])?.expect_failure(why)?;
        build(&format!("FROM {image}\\n"))?.expect_failure(why)?;
    }
    let other = lab.ghcr().requests_under("/v2/other/");
    ensure!(other.is_empty(), "ghcr.io was asked: {other:?}");
    docker(&["tag", "alpine:3", "ghcr.io/acme/pushed:1"])?.expect_success()?;
    docker(&["push", "ghcr.io/acme/pushed:1"])?.expect_success()?;
    Ok(())
}

fn others_do_not_trust_it(site: &Site<'_>) -> Result<()> {
    let told = site.shell(
        "curl --silent --show-error --max-time 20 --proxy http://127.0.0.1:5051 https://ghcr.io/v2/",
    )?;
    // A certificate of nobody that it knows.
    ensure!(told.status.code() == Some(60), "{told}");
    Ok(())
}

const POLICY: &str = r#"{
  "version": 1,
  "registries": [
    { "host": "docker.io" },
    { "host": "ghcr.io", "repositories": ["acme/**"], "actions": ["pull", "push"], "via": "inspect" }
  ],
  "docker-hub": { "official": "allow" }
}
"#;
/// The stand-ins have private addresses, which ramgate goes to only where it is told to.
const SETTINGS: &str = r#"{
  "mirror": {
    "upstreams": {
      "docker.io": { "url": "https://registry-1.docker.io", "token-realms": ["auth.docker.io"] },
      "ghcr.io": { "url": "https://ghcr.io" }
    }
  }
}
"#;
