//! Routes of managed plugins, which are images that run as root.

use ramgate_policy::Action;

use super::Request;
use super::images::repository;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /plugins/pull`, `POST /plugins/{name}/upgrade`, `GET /plugins/privileges`: all fetch `remote`.
pub(super) fn pull(request: &Request<'_>) -> Read {
    // The first two have a list of privileges for a body; a form in its place could name another plugin.
    let form = if request.method == "GET" {
        request.form()?
    } else {
        request.json()?;
        request.form_beside_json()?
    };
    let remote = form.one("remote")?;
    if remote.is_empty() {
        return Err(Unreadable::Missing("remote"));
    }
    Ok(Reading::Ask(vec![Question::Repository(
        repository(remote)?,
        Action::Pull,
    )]))
}

/// `POST /plugins/{name}/disable`, `POST /plugins/{name}/set`, `DELETE /plugins/{name}`.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every rule of a route has this form"
)]
pub(super) fn change(request: &Request<'_>) -> Read {
    let last = request.name.rsplit('/').next().unwrap_or_default();
    let own = last.split([':', '@']).next() == Some(OWN_NAME);
    Ok(if own {
        Reading::Ask(vec![Question::OwnPlugin])
    } else {
        Reading::Pass
    })
}

/// The name under which ramgate is packaged as a managed plugin.
const OWN_NAME: &str = "ramgate";
