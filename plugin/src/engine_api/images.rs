//! Routes of images: pull, import, load, tag, push, search.

use ramgate_policy::{Action, Host, InvalidReference, LocalImage, Reference, Registry, Repository};

use super::Request;
use crate::location;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /images/create`: a pull if `fromImage` is given, whatever else is; else an import.
pub(super) fn create(request: &Request<'_>) -> Read {
    let parameters = request.query()?;
    let image = parameters.one("fromImage")?;
    let source = parameters.one("fromSrc")?;
    parameters.one("tag")?;
    parameters.one("repo")?;
    let mut questions = Vec::new();
    if !image.is_empty() {
        // An import has a body and a pull has none, so here any body may be a form.
        request.form(&mut questions)?;
        // dockerd takes off one colon at the end; all tags of a repository are as allowed as one.
        let image = image.strip_suffix(':').unwrap_or(image);
        questions.push(Question::Repository(repository(image)?, Action::Pull));
        return Ok(Reading::Ask(questions));
    }
    questions.push(Question::Local(LocalImage::Import));
    match source {
        "" => return Err(Unreadable::Missing("fromImage")),
        // A form that is sent as a tar would make a pull of it, and nothing tells: see `docs/threats.md`, R12.
        "-" => drop(request.form_beside_tar()?),
        url => {
            request.form(&mut questions)?;
            // Without a scheme, dockerd puts `http://` in front.
            let url = if url.contains("://") {
                url.to_owned()
            } else {
                format!("http://{url}")
            };
            questions.push(host(&url, "fromSrc")?);
        }
    }
    Ok(Reading::Ask(questions))
}

/// `POST /images/load`: what is in the archive, nobody sees.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every rule of a route has this form"
)]
pub(super) fn load() -> Read {
    // A form in the body could say `quiet` and `platform`, and leaves nothing to load.
    Ok(Reading::Ask(vec![Question::Local(LocalImage::Load)]))
}

/// `POST /images/{name}/tag`: a new name must not make an image look like what it is not, so the old one counts.
pub(super) fn tag(request: &Request<'_>) -> Read {
    let mut questions = Vec::new();
    let parameters = request.form(&mut questions)?;
    parameters.one("repo")?;
    parameters.one("tag")?;
    questions.push(Question::Local(LocalImage::Tag));
    questions.push(Question::Image(request.name.clone()));
    Ok(Reading::Ask(questions))
}

/// `POST /images/{name}/push`. An empty tag means all of them.
pub(super) fn push(request: &Request<'_>) -> Read {
    let mut questions = Vec::new();
    request.form(&mut questions)?.one("tag")?;
    questions.push(Question::Repository(
        repository(&request.name)?,
        Action::Push,
    ));
    Ok(Reading::Ask(questions))
}

/// `GET /images/search`: the term may begin with the host of an index.
pub(super) fn search(request: &Request<'_>) -> Read {
    let parameters = request.query()?;
    let term = parameters.one("term")?;
    let host = term
        .split_once('/')
        .map(|(first, _)| first)
        .filter(|first| first.contains(['.', ':']) || *first == "localhost");
    let registry = match host {
        Some(host) => host.parse().map_err(|source| Unreadable::Reference {
            text: shown(host),
            source: InvalidReference::Host(source),
        })?,
        None => Registry::docker_hub(),
    };
    Ok(Reading::Ask(vec![Question::Registry(registry)]))
}

/// `GET /distribution/{name}/json`: asks the registry.
pub(super) fn inspect_distribution(request: &Request<'_>) -> Read {
    Ok(Reading::Ask(vec![Question::Repository(
        repository(&request.name)?,
        Action::Pull,
    )]))
}

/// The repository of a reference.
pub(super) fn repository(text: &str) -> Result<Repository, Unreadable> {
    let invalid = |source| Unreadable::Reference {
        text: shown(text),
        source,
    };
    text.parse::<Reference>()
        .map_err(invalid)?
        .repository()
        .map_err(invalid)
}

/// The question about the host of a URL or git remote.
pub(super) fn host(location: &str, parameter: &'static str) -> Result<Question, Unreadable> {
    let (host, port): (Host, u16) = location::of(location).ok_or(Unreadable::Url(parameter))?;
    Ok(Question::Host(host, port))
}

/// What of a text is shown in a message.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(TEXT_SHOWN_MAX)
        .collect()
}

/// Longer than any reference that is one.
const TEXT_SHOWN_MAX: usize = 300;
