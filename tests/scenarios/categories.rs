//! Docker Hub's categories on a real engine: what is asked, what it changes, and how long it holds.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{Place, policy_with};

/// An organization as Docker Hub's API answers it, at the stand-in for its API.
fn badge(place: &Place, namespace: &str, badge: &str) -> Result<()> {
    let organization = json!({ "orgname": namespace, "badge": badge });
    place
        .lab
        .files_host()
        .put_file(&format!("/v2/orgs/{namespace}/"), organization.to_string())
}

pub(super) fn by_badge(place: &Place) -> Result<()> {
    let mut settings = ramgate_lab::Lab::settings();
    if let Some(settings) = settings.as_object_mut() {
        settings.insert("catalog".to_owned(), catalog());
    }
    place.lab.write_settings(&settings)?;
    place.lab.stop_ramgate()?;
    place.lab.start_ramgate()?;
    let judged = judged_by_badge(place);
    place.lab.write_settings(&ramgate_lab::Lab::settings())?;
    place.lab.stop_ramgate()?;
    place.lab.start_ramgate()?;
    judged
}

/// Expired at once, and used no longer than that.
fn catalog() -> Value {
    json!({ "url": "https://files.example", "ca-file": ramgate_lab::Lab::CA_FILE,
            "ttl": "2s", "negative-ttl": "2s", "stale-while-revalidate": "0s" })
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
