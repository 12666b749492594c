//! Requests that the docker command line does not send and an attacker does. A few of many: the rest is `tests/bypass/`.

use anyhow::{Result, ensure};
use ramgate_lab::Output;

use super::place::Place;

pub(super) fn lying_requests(place: &Place) -> Result<()> {
    for (target, body, word) in FORMS {
        refused(&post(place, target, &["-d", body])?, word)?;
    }
    for (body, word) in BODIES {
        let arguments = ["-H", JSON, "-d", body];
        refused(&post(place, "/v1.41/containers/create", &arguments)?, word)?;
    }
    large_body(place)?;

    let asked = place.lab.docker_hub().requests_under("/v2/evil/");
    ensure!(asked.is_empty(), "a denied image was asked for");
    let containers = place.docker(&["ps", "-aq"])?.expect_success()?.stdout;
    ensure!(containers.is_empty(), "a container was created");
    Ok(())
}

/// A body that some engines drop before the plugin sees it, and others refuse themselves.
fn large_body(place: &Place) -> Result<()> {
    let padding = "x".repeat(2 << 20);
    let body = format!(r#"{{"Image":"evil/tool","Labels":{{"x":"{padding}"}}}}"#);
    place.lab.write_file("/tmp/large.json", body)?;
    let arguments = ["-H", JSON, "--data-binary", "@/tmp/large.json"];
    let output = post(place, "/v1.41/containers/create", &arguments)?;
    let denied = output.stdout.ends_with(" 403") || output.stdout.ends_with(" 500");
    ensure!(denied, "{output}");
    Ok(())
}

fn post(place: &Place, target: &str, more: &[&str]) -> Result<Output> {
    let url = format!("http://localhost{target}");
    let socket = ["--unix-socket", "/run/docker.sock"];
    let status = ["-X", "POST", "-w", " %{http_code}"];
    let arguments = [&socket[..], &status, more, &[&url]].concat();
    place.lab.curl(&arguments)?.expect_success()
}

fn refused(output: &Output, word: &str) -> Result<()> {
    ensure!(output.stdout.ends_with(" 403"), "{output}");
    let plugin = "authorization denied by plugin ramgate";
    ensure!(output.stdout.contains(plugin), "{output}");
    ensure!(output.stdout.contains(word), "{output}");
    Ok(())
}

/// Target, form body, and a word of the denial.
const FORMS: [(&str, &str, &str); 5] = [
    (
        "/v1.41/images/create?fromImage=alpine&tag=3",
        "fromImage=evil/tool&tag=latest",
        "form",
    ),
    (
        "/v1.41/images/create?fromImage=alpine&fromImage=evil/tool&tag=3",
        "",
        "twice",
    ),
    (
        "/v1.41/images/create?fromImage=alpine;fromImage=evil/tool",
        "",
        "query",
    ),
    ("/v1.41/images/cr%65ate?fromImage=evil/tool", "", "escape"),
    ("/v1.041/images/create?fromImage=evil/tool", "", "version"),
];

/// Body of a container's creation, and a word of the denial.
const BODIES: [(&str, &str); 4] = [
    (r#"{"Image":"alpine:3","image":"evil/tool"}"#, "twice"),
    (r#"{"image":"evil/tool"}"#, "spelling"),
    (r#"{"Image":""}"#, "missing or empty"),
    (r#"{"Image":"alpine:3"} }"#, "JSON"),
];

const JSON: &str = "Content-Type: application/json";
