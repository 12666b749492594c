//! Builders in containers: BuildKit as `docker buildx create --driver docker-container` and its kin run it.
//!
//! Such a builder fetches by itself, past the mirror and the egress gate. It is told by what clients make of it; whoever hides it is
//! not found here, as nobody is who fetches from inside a container.

use crate::go_json::Json;
use crate::unreadable::Unreadable;

/// Whether a container with this configuration is a builder.
pub(super) fn is_builder(body: &Json<'_>) -> Result<bool, Unreadable> {
    let image = body.text("Image")?;
    let name = image.rsplit('/').next().unwrap_or_default();
    if name.split([':', '@']).next() == Some("buildkit") {
        return Ok(true);
    }
    for key in ["Entrypoint", "Cmd"] {
        if words(body.field(key)?).any(|word| program(word) == "buildkitd") {
            return Ok(true);
        }
    }
    let Some(host) = body.field("HostConfig")? else {
        return Ok(false);
    };
    for mount in host.array("Mounts")? {
        if mount.text("Target")? == STATE {
            return Ok(true);
        }
    }
    let binds = host.field("Binds")?;
    Ok(words(binds).any(|bind| bind.split(':').nth(1) == Some(STATE)))
}

/// Whether what is run in a container speaks to a builder.
pub(super) fn runs_buildctl(body: &Json<'_>) -> bool {
    let command = body.field("Cmd").ok().flatten();
    words(command)
        .next()
        .is_some_and(|word| program(word) == "buildctl")
}

/// One string, or those of a list: Docker takes either for a command.
fn words<'a>(value: Option<&'a Json<'_>>) -> impl Iterator<Item = &'a str> {
    let values = match value {
        Some(Json::Array(values)) => values.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    values.iter().filter_map(|value| match value {
        Json::Text(text) => Some(text.as_ref()),
        Json::Null | Json::Array(_) | Json::Object(_) | Json::Other => None,
    })
}

fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Where buildkitd keeps its state; source: buildx `driver/docker-container/driver.go`.
const STATE: &str = "/var/lib/buildkit";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: bool) {
        let body = Json::parse(body.as_bytes()).unwrap();
        assert_eq!(is_builder(&body), Ok(expected), "{body:?}");
    }

    #[test]
    fn builders_are_told_by_image_command_or_mount() {
        check(r#"{"Image":"moby/buildkit:buildx-stable-1"}"#, true);
        check(
            r#"{"Image":"registry.example:5000/mirror/buildkit@sha256:00"}"#,
            true,
        );
        check(
            r#"{"Image":"acme/tools","Cmd":["/usr/bin/buildkitd","--debug"]}"#,
            true,
        );
        check(r#"{"Image":"acme/tools","Entrypoint":"buildkitd"}"#, true);
        check(
            r#"{"Image":"a","HostConfig":{"Mounts":[{"Type":"volume","Source":"b_state","Target":"/var/lib/buildkit"}]}}"#,
            true,
        );
        check(
            r#"{"Image":"a","HostConfig":{"Binds":["b_state:/var/lib/buildkit:rw"]}}"#,
            true,
        );
        check(
            r#"{"Image":"acme/buildkite-agent","Cmd":["buildkite"]}"#,
            false,
        );
        check(
            r#"{"Image":"alpine","Cmd":null,"Entrypoint":null,"HostConfig":{"Binds":null,"Mounts":null}}"#,
            false,
        );
    }

    #[test]
    fn speaking_to_a_builder_is_seen() {
        let runs = |body: &str| runs_buildctl(&Json::parse(body.as_bytes()).unwrap());
        assert!(runs(r#"{"Cmd":["buildctl","dial-stdio"]}"#));
        assert!(!runs(r#"{"Cmd":["echo","buildctl"]}"#));
        assert!(!runs(r#"{"Cmd":[]}"#) && !runs("{}") && !runs("null"));
    }
}
