//! Routes of builds. What a build fetches, the mirror and the egress gate see; here is only what its request names.

use ramgate_policy::{Action, LocalImage};

use super::Request;
use super::images::repository;
use crate::go_json::Json;
use crate::location;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /build`.
pub(super) fn build(request: &Request<'_>) -> Read {
    let form = request.form_beside_tar()?;
    let mut questions = vec![Question::Local(LocalImage::Build)];
    let remote = form.one("remote")?;
    if !(remote.is_empty() || remote == "client-session" || remote.starts_with("upload-request")) {
        let (host, port) = location::of(remote).ok_or(Unreadable::Url("remote"))?;
        questions.push(Question::Host(host, port));
    }
    let sources = form.one("cachefrom")?;
    if !sources.is_empty() {
        // A list of names for the classic builder; BuildKit's own come through the session, and are fetched past the mirror.
        let Json::Array(sources) = Json::parse(sources.as_bytes())? else {
            return Err(Unreadable::WrongType("cachefrom"));
        };
        for source in &sources {
            let Json::Text(source) = source else {
                return Err(Unreadable::WrongType("cachefrom"));
            };
            questions.push(Question::Repository(repository(source)?, Action::Pull));
        }
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
