//! Routes of swarm: services name an image, and a node that joins runs what its manager says.

use ramgate_policy::{Action, ImageName};

use super::Request;
use super::containers::image_mount;
use super::images::{repository, shown};
use crate::go_json::Json;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /services/create`.
pub(super) fn create(request: &Request<'_>) -> Read {
    request.query()?;
    let body = request.body()?;
    Ok(Reading::Ask(images(&Json::parse(&body)?)?))
}

/// `POST /services/{id}/update`. With `rollback`, the body is not what will run.
pub(super) fn update(request: &Request<'_>) -> Read {
    let form = request.query()?;
    let body = request.body()?;
    let mut questions = images(&Json::parse(&body)?)?;
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

/// The questions about the image of a service. Each node resolves it for itself: by pulling its name, or by what goes by that name
/// there, and nothing must be found by its ID.
fn image(text: &str) -> Result<[Question; 2], Unreadable> {
    if text.is_empty() {
        return Err(Unreadable::Missing("Image"));
    }
    match text.parse::<ImageName>() {
        Ok(ImageName::Id(_) | ImageName::Ambiguous(_)) => {
            Err(Unreadable::ServiceImageId(shown(text)))
        }
        Ok(ImageName::Reference(_)) | Err(_) => {
            let pulled = Question::Repository(repository(text)?, Action::Run);
            Ok([pulled, Question::Image(text.to_owned())])
        }
    }
}

fn images(body: &Json<'_>) -> Result<Vec<Question>, Unreadable> {
    let Some(task) = body.field("TaskTemplate")? else {
        return Err(Unreadable::Missing("TaskTemplate"));
    };
    let mut questions = Vec::new();
    if let Some(container) = task.field("ContainerSpec")? {
        questions.extend(image(container.text("Image")?)?);
        // swarm knows no mounts of images yet; were it to learn them, they are judged.
        for mount in container.array("Mounts")? {
            image_mount(mount, &mut questions)?;
        }
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
