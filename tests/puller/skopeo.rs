//! skopeo, which names the mirror itself: `127.0.0.1:5050/docker.io/…`.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use ramgate_lab::Image;

use crate::puller::place::{COMMUNITY, Place, RESTRICTED, alpine, policy};

pub(crate) fn copies(place: &Place) -> Result<()> {
    let image = alpine()?;
    copy(
        place,
        &["--all"],
        "docker.io/library/alpine:3",
        "dir:/tmp/alpine",
    )?;
    for (file, digest) in [
        ("manifest.json", image.digest()),
        (
            &format!("{}.manifest.json", hex(image.manifest_digest())),
            image.manifest_digest(),
        ),
        (hex(image.config_digest()), image.config_digest()),
        (hex(image.layer_digest()), image.layer_digest()),
    ] {
        let sum = place
            .lab
            .run("sha256sum", &[&format!("/tmp/alpine/{file}")])?;
        ensure!(sum.stdout.starts_with(hex(digest)), "{file}: {sum}");
    }
    place.only_ramgate_asked()
}

pub(crate) fn lists_tags(place: &Place) -> Result<()> {
    let list = skopeo(place, "list-tags", "docker.io/library/alpine")?.expect_success()?;
    let list: Value = serde_json::from_str(&list.stdout)?;
    ensure!(list.get("Tags") == Some(&json!(["3"])), "{list}");
    skopeo(place, "list-tags", "docker.io/evil/tool")?.expect_failure(COMMUNITY)?;
    place.only_ramgate_asked()
}

/// An artifact as ORAS makes one: a type, an empty config, and a layer of any kind.
pub(crate) fn copies_artifacts(place: &Place) -> Result<()> {
    let sbom = b"{\"packages\":[]}";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.example.sbom",
        "config": descriptor(place, "application/vnd.oci.empty.v1+json", b"{}")?,
        "layers": [descriptor(place, "application/spdx+json", sbom)?],
    })
    .to_string();
    let entry = descriptor(place, MANIFEST, manifest.as_bytes())?;
    let digest = entry
        .get("digest")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    place
        .lab
        .write_file(&format!("{ARTIFACT}/index.json"), index.to_string())?;
    place.lab.write_file(
        &format!("{ARTIFACT}/oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    push(place, &[], &format!("oci:{ARTIFACT}"), "acme/sbom:1")?;
    place.begin()?;
    copy(place, &[], "ghcr.io/acme/sbom:1", "dir:/tmp/sbom")?;
    let got = place.lab.read_file("/tmp/sbom/manifest.json")?;
    ensure!(got == manifest, "{digest} came as {got}");
    place.only_ramgate_asked()
}

pub(crate) fn copies_zstd(place: &Place) -> Result<()> {
    copy(place, &[], "docker.io/library/alpine:3", "dir:/tmp/gzip")?;
    let zstd = ["--format", "oci", "--dest-compress-format", "zstd"];
    push(place, &zstd, "dir:/tmp/gzip", "acme/zstd:1")?;
    place.begin()?;
    let raw = skopeo(place, "inspect --raw", "ghcr.io/acme/zstd:1")?.expect_success()?;
    ensure!(
        raw.stdout
            .contains("application/vnd.oci.image.layer.v1.tar+zstd"),
        "{raw}"
    );
    // podman unpacks it, so it is what its config says.
    place
        .podman("/tmp/location.conf")
        .args(["pull", "--quiet", "ghcr.io/acme/zstd:1"])
        .run()?
        .expect_success()?;
    place.only_ramgate_asked()
}

/// What is Docker Hub's stays so in another registry, also for what is on the disk by that name; what is that registry's own comes.
pub(crate) fn copy_elsewhere(place: &Place) -> Result<()> {
    let from = "docker.io/library/other:latest";
    copy(place, &["--all"], from, "dir:/tmp/other")?;
    push(place, &["--all"], "dir:/tmp/other", "acme/copy:1")?;
    let copied = "ghcr.io/acme/copy:1";
    copy(place, &["--all"], copied, "dir:/tmp/copied")?;
    place.policy(&json!({ "version": 1, "registries": [{ "host": "ghcr.io" }] }))?;
    let result = (|| {
        let digest = Image::busybox(from)?.digest().to_owned();
        for name in [copied, &format!("ghcr.io/acme/copy@{digest}")] {
            let refused = skopeo(place, "inspect --raw", name)?.expect_failure(RESTRICTED)?;
            ensure!(
                refused
                    .text()
                    .contains("ghcr.io/acme/copy serves content of another origin"),
                "{refused}"
            );
        }
        copy(place, &["--all"], "ghcr.io/acme/app:1", "dir:/tmp/own")
    })();
    place.policy(&policy())?;
    result?;
    copy(place, &["--all"], copied, "dir:/tmp/copied-again")
}

pub(crate) fn is_refused(place: &Place) -> Result<()> {
    skopeo(place, "inspect", "docker.io/evil/tool:latest")?.expect_failure(COMMUNITY)?;
    skopeo(place, "inspect", "denied.example/some/thing:1")?.expect_failure(RESTRICTED)?;
    // Nothing is pushed to a mirror.
    copy(place, &[], "docker.io/library/alpine:3", "dir:/tmp/again")?;
    place
        .skopeo()
        .args(["copy", "--dest-tls-verify=false", "dir:/tmp/again"])
        .args(["docker://127.0.0.1:5050/ghcr.io/acme/pushed:1"])
        .run()?
        .expect_failure("push to the registry itself")?;
    place.only_ramgate_asked()
}

fn copy(place: &Place, options: &[&str], from: &str, to: &str) -> Result<()> {
    let from = format!("docker://127.0.0.1:5050/{from}");
    let command = place.skopeo().args(["copy", "--src-tls-verify=false"]);
    command
        .args(options)
        .args([&from, to])
        .run()?
        .expect_success()?;
    Ok(())
}

/// Straight to what stands for ghcr.io, at its address.
fn push(place: &Place, options: &[&str], from: &str, to: &str) -> Result<()> {
    let to = format!("docker://10.231.0.11:443/{to}");
    let command = place.skopeo().args(["copy", "--dest-tls-verify=false"]);
    command
        .args(options)
        .args([from, &to])
        .run()?
        .expect_success()?;
    Ok(())
}

fn skopeo(place: &Place, verb: &str, name: &str) -> Result<ramgate_lab::Output> {
    let name = format!("docker://127.0.0.1:5050/{name}");
    let command = place.skopeo().args(verb.split(' '));
    command.args(["--tls-verify=false", &name]).run()
}

/// Puts content into the artifact's layout.
fn descriptor(place: &Place, media_type: &str, content: &[u8]) -> Result<Value> {
    let digest = ramgate_provenance::Verified::by_sha256(content)
        .map(|verified| verified.digest().clone())
        .ok_or_else(|| anyhow::anyhow!("there is no digest"))?;
    let place_of = format!("{ARTIFACT}/blobs/sha256/{}", digest.encoded());
    place.lab.write_file(&place_of, content)?;
    Ok(json!({ "mediaType": media_type, "digest": digest, "size": content.len() }))
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

const ARTIFACT: &str = "/tmp/artifact";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
