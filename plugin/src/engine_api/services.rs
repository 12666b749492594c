//! Routes of swarm: services name an image, and a node that joins runs what its manager says.

use ramgate_policy::Action;

use super::Request;
use super::images::repository;
use crate::go_json::Json;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /services/create`.
pub(super) fn create(request: &Request<'_>) -> Read {
    let _ = request.form_beside_json()?;
    Ok(Reading::Ask(images(&request.json()?)?))
}

/// `POST /services/{id}/update`. With `rollback`, the body is not what will run.
pub(super) fn update(request: &Request<'_>) -> Read {
    let form = request.form_beside_json()?;
    let mut questions = images(&request.json()?)?;
    if !form.one("rollback")?.is_empty() {
        questions.push(Question::PreviousService(request.name.clone()));
    }
    Ok(Reading::Ask(questions))
}

/// `POST /swarm/init`, `POST /swarm/join`: from then on tasks are pulled without a request.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every rule of a route has this form"
)]
pub(super) fn join_swarm() -> Read {
    Ok(Reading::Ask(vec![Question::Gates]))
}

fn images(body: &Json) -> Result<Vec<Question>, Unreadable> {
    let Some(task) = body.field("TaskTemplate")? else {
        return Err(Unreadable::Missing("TaskTemplate"));
    };
    let mut questions = Vec::new();
    if let Some(container) = task.field("ContainerSpec")? {
        let image = container.text("Image")?;
        if image.is_empty() {
            return Err(Unreadable::Missing("Image"));
        }
        questions.push(Question::Repository(repository(image)?, Action::Run));
    }
    if let Some(plugin) = task.field("PluginSpec")? {
        // This one message keeps the lower-case names of its protocol description.
        let remote = plugin.text("remote")?;
        if remote.is_empty() {
            return Err(Unreadable::Missing("remote"));
        }
        questions.push(Question::Repository(repository(remote)?, Action::Pull));
    }
    // A task of another kind, as one attached to a network, runs nothing; and one that says nothing is refused by dockerd.
    if questions.is_empty() && task.field("NetworkAttachmentSpec")?.is_none() {
        return Err(Unreadable::Missing("ContainerSpec"));
    }
    Ok(questions)
}
