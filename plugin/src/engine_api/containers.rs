//! Routes of containers.

use ramgate_policy::LocalImage;

use super::Request;
use crate::go_json::Json;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /containers/create`: the image, and images that are mounted.
pub(super) fn create(request: &Request<'_>) -> Read {
    let _ = request.form_beside_json()?;
    let body = request.json()?;
    let image = body.text("Image")?;
    if image.is_empty() {
        // dockerd takes it for an empty root, which anything may then be put into.
        return Err(Unreadable::Missing("Image"));
    }
    let mut questions = vec![Question::Image(image.to_owned())];
    if let Some(host) = body.field("HostConfig")? {
        for mount in host.array("Mounts")? {
            // dockerd knows the word in this one spelling and refuses any other.
            if mount.text("Type")? == "image" {
                let source = mount.text("Source")?;
                if source.is_empty() {
                    return Err(Unreadable::Missing("Source"));
                }
                questions.push(Question::Image(source.to_owned()));
            }
        }
    }
    Ok(Reading::Ask(questions))
}

/// `POST /containers/{name}/start` and `restart`: the policy may have changed since it was created.
pub(super) fn start(request: &Request<'_>) -> Read {
    let _ = request.form_beside_json()?;
    Ok(Reading::Ask(vec![Question::Container(
        request.name.clone(),
    )]))
}

/// `POST /commit`: a new image from a container, whose own image must be allowed.
pub(super) fn commit(request: &Request<'_>) -> Read {
    let form = request.form_beside_json()?;
    let container = form.one("container")?;
    if container.is_empty() {
        return Err(Unreadable::Missing("container"));
    }
    // The body is a configuration, or `null`, and bears no image; but a form in its place would name another container.
    if request.message.header("Content-Length") != Some("0") {
        let (Json::Object(_) | Json::Null) = request.json()? else {
            return Err(Unreadable::Json);
        };
    }
    Ok(Reading::Ask(vec![
        Question::Local(LocalImage::Commit),
        Question::Container(container.to_owned()),
    ]))
}
