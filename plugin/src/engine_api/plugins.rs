//! Routes of managed plugins, which are images that run as root.
//!
//! The name under which the engine looks for its authorization plugin is taken by a managed plugin before any other. So a
//! plugin of ramgate's name would take ramgate's place at the engine's next start or reload.

use ramgate_policy::{Action, LocalImage};

use super::Request;
use super::images::{repository, shown};
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `GET /plugins/privileges`: asks the registry.
pub(super) fn inspect(request: &Request<'_>) -> Read {
    let parameters = request.query()?;
    Ok(Reading::Ask(vec![fetched(parameters.one("remote")?)?]))
}

/// `POST /plugins/pull`: fetches `remote`, and calls it `name` or else by its own name.
pub(super) fn pull(request: &Request<'_>) -> Read {
    let mut questions = Vec::new();
    let parameters = request.form(&mut questions)?;
    let (remote, name) = (parameters.one("remote")?, parameters.one("name")?);
    questions.push(fetched(remote)?);
    let name = if name.is_empty() { remote } else { name };
    questions.extend(is_own(name).then_some(Question::OwnPlugin));
    Ok(Reading::Ask(questions))
}

/// `POST /plugins/{name}/upgrade`: puts `remote` in the place of a plugin.
pub(super) fn upgrade(request: &Request<'_>) -> Read {
    let mut questions = Vec::new();
    let parameters = request.form(&mut questions)?;
    questions.push(fetched(parameters.one("remote")?)?);
    questions.extend(named(&request.name)?);
    Ok(Reading::Ask(questions))
}

/// `POST /plugins/{name}/push`.
pub(super) fn push(request: &Request<'_>) -> Read {
    named(&request.name)?;
    let repository = repository(&request.name)?;
    Ok(Reading::Ask(vec![Question::Repository(
        repository,
        Action::Push,
    )]))
}

/// `POST /plugins/create`: what is in the archive, nobody sees.
///
/// A form that is sent as a tar comes to nothing: urlencoded, it leaves no archive; as multipart, its values come after those
/// of the query, which must have a name.
pub(super) fn create(request: &Request<'_>) -> Read {
    let parameters = request.form_beside_tar()?;
    let name = parameters.one("name")?;
    if name.is_empty() {
        return Err(Unreadable::Missing("name"));
    }
    let mut questions = vec![Question::Local(LocalImage::Load)];
    questions.extend(is_own(name).then_some(Question::OwnPlugin));
    Ok(Reading::Ask(questions))
}

/// `POST /plugins/{name}/disable`, `POST /plugins/{name}/set`, `DELETE /plugins/{name}`.
pub(super) fn change(request: &Request<'_>) -> Read {
    Ok(named(&request.name)?.map_or(Reading::Pass, |question| Reading::Ask(vec![question])))
}

/// `POST /plugins/{name}/enable`: runs a plugin that may have come under another policy. dockerd waits for a form here as well.
pub(super) fn enable(request: &Request<'_>) -> Read {
    let mut questions = Vec::new();
    request.form(&mut questions)?;
    if !is_own(&request.name) {
        questions.push(Question::Plugin(request.name.clone()));
    }
    Ok(match questions.is_empty() {
        true => Reading::Pass,
        false => Reading::Ask(questions),
    })
}

/// The question about what a plugin is fetched from.
fn fetched(remote: &str) -> Result<Question, Unreadable> {
    if remote.is_empty() {
        return Err(Unreadable::Missing("remote"));
    }
    Ok(Question::Repository(repository(remote)?, Action::Pull))
}

/// The question about a plugin that is there, if it is this one. The engine takes a name, or the start of an ID, which it alone
/// can resolve.
fn named(name: &str) -> Result<Option<Question>, Unreadable> {
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if name.bytes().all(hexadecimal) {
        return Err(Unreadable::PluginId(shown(name)));
    }
    Ok(is_own(name).then_some(Question::OwnPlugin))
}

/// Whether a plugin of that name is ramgate, wherever it came from and with whichever tag.
fn is_own(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next() == Some(OWN_NAME)
}

/// The name under which ramgate is packaged as a managed plugin, and under which its socket is found.
const OWN_NAME: &str = "ramgate";
