//! Routes of images: pull, import, load, tag, push, search.

use ramgate_policy::{Action, LocalImage, Reference, Registry, Repository};

use super::Request;
use crate::location;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /images/create`: a pull if `fromImage` is given, whatever else is; else an import.
pub(super) fn create(request: &Request<'_>) -> Read {
    let form = request.form_beside_tar()?;
    let (image, source) = (form.one("fromImage")?, form.one("fromSrc")?);
    form.one("tag")?;
    form.one("repo")?;
    if !image.is_empty() {
        // An import has a body and a pull has none: with one, a form could stand behind the last of two types.
        let form = request.form()?;
        let image = form.one("fromImage")?;
        // dockerd takes off one colon at the end; all tags of a repository are as allowed as one.
        let image = image.strip_suffix(':').unwrap_or(image);
        return Ok(Reading::Ask(vec![Question::Repository(
            repository(image)?,
            Action::Pull,
        )]));
    }
    match source {
        "" => Err(Unreadable::Missing("fromImage")),
        "-" => Ok(Reading::Ask(vec![Question::Local(LocalImage::Import)])),
        url => {
            // Without a scheme, dockerd puts `http://` in front.
            let url = if url.contains("://") {
                url.to_owned()
            } else {
                format!("http://{url}")
            };
            let (host, port) = location::of(&url).ok_or(Unreadable::Url("fromSrc"))?;
            Ok(Reading::Ask(vec![
                Question::Local(LocalImage::Import),
                Question::Host(host, port),
            ]))
        }
    }
}

/// `POST /images/load`, `POST /plugins/create`: what is in the archive, nobody sees.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every rule of a route has this form"
)]
pub(super) fn load() -> Read {
    Ok(Reading::Ask(vec![Question::Local(LocalImage::Load)]))
}

/// `POST /images/{name}/tag`: a new name must not make an image look like what it is not, so the old one counts.
pub(super) fn tag(request: &Request<'_>) -> Read {
    let form = request.form()?;
    form.one("repo")?;
    form.one("tag")?;
    Ok(Reading::Ask(vec![
        Question::Local(LocalImage::Tag),
        Question::Image(request.name.clone()),
    ]))
}

/// `POST /images/{name}/push`, `POST /plugins/{name}/push`. An empty tag means all of them.
pub(super) fn push(request: &Request<'_>) -> Read {
    request.form()?.one("tag")?;
    Ok(Reading::Ask(vec![Question::Repository(
        repository(&request.name)?,
        Action::Push,
    )]))
}

/// `GET /images/search`: the term may begin with the host of an index.
pub(super) fn search(request: &Request<'_>) -> Read {
    let form = request.form()?;
    let term = form.one("term")?;
    let host = term
        .split_once('/')
        .map(|(first, _)| first)
        .filter(|first| first.contains(['.', ':']) || *first == "localhost");
    let registry = match host {
        Some(host) => host.parse().map_err(|source| Unreadable::Reference {
            text: host.to_owned(),
            source: ramgate_policy::InvalidReference::Host(source),
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

/// What of a text is shown in a message.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(TEXT_SHOWN_MAX)
        .collect()
}

/// Longer than any reference that is one.
const TEXT_SHOWN_MAX: usize = 300;
