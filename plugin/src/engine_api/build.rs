//! Routes of builds. What a build fetches, the mirror and the egress gate see; here is only what its request names.

use ramgate_policy::{Action, LocalImage};

use super::Request;
use super::images::{host, repository};
use crate::go_json::Json;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /build`.
///
/// A form that is sent as a tar could add `remote` and `cachefrom`, and nothing tells. It gains nothing: the Dockerfile, which
/// is in the body, may name any host and any image, so `local-images.build` is asked for all of them.
pub(super) fn build(request: &Request<'_>) -> Read {
    let parameters = request.form_beside_tar()?;
    let mut questions = vec![Question::Local(LocalImage::Build)];
    let remote = parameters.one("remote")?;
    if !matches!(remote, "" | "client-session" | "upload-request") {
        questions.push(host(remote, "remote")?);
    }
    // Names for the classic builder; BuildKit's own come through the session, and are fetched past the mirror.
    for source in json_array(parameters.one("cachefrom")?, "cachefrom")? {
        let Json::Text(source) = source else {
            return Err(Unreadable::WrongType("cachefrom"));
        };
        questions.push(Question::Repository(repository(&source)?, Action::Pull));
    }
    for output in json_array(parameters.one("outputs")?, "outputs")? {
        pushes(&output, &mut questions)?;
    }
    Ok(Reading::Ask(questions))
}

/// `POST /session`, `POST /grpc`: after the upgrade nothing is seen.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every rule of a route has this form"
)]
pub(super) fn session() -> Read {
    Ok(Reading::Ask(vec![Question::Local(LocalImage::Build)]))
}

/// A parameter that is a list in JSON. Clients send `null` for none.
fn json_array<'a>(text: &'a str, parameter: &'static str) -> Result<Vec<Json<'a>>, Unreadable> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    match Json::parse(text.as_bytes())? {
        Json::Array(values) => Ok(values),
        Json::Null => Ok(Vec::new()),
        Json::Text(_) | Json::Object(_) | Json::Other => Err(Unreadable::WrongType(parameter)),
    }
}

/// What an output of BuildKit pushes: type `registry`, or an image that is to be pushed under its names.
fn pushes(output: &Json<'_>, questions: &mut Vec<Question>) -> Result<(), Unreadable> {
    let kind = output.text("Type")?;
    let Some(attributes) = output.field("Attrs")? else {
        return match kind {
            "registry" => Err(Unreadable::Missing("name")),
            _ => Ok(()),
        };
    };
    if kind != "registry" && attributes.entry("push")?.is_none_or(is_false) {
        return Ok(());
    }
    let names = attributes.entry("name")?.unwrap_or_default();
    for name in names.split(',') {
        questions.push(Question::Repository(repository(name)?, Action::Push));
    }
    Ok(())
}

/// Go's `strconv.ParseBool`, as far as it says no. BuildKit takes an empty value for yes.
fn is_false(text: &str) -> bool {
    matches!(text, "0" | "f" | "F" | "false" | "FALSE" | "False")
}
