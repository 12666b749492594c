//! Routes of containers.

use ramgate_policy::LocalImage;

use super::Request;
use super::builder::{is_builder, runs_buildctl};
use crate::go_json::Json;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

/// `POST /containers/create`: the image, images that are mounted, and containers whose mounts it takes over.
///
/// The handler insists on JSON, so the body is no form.
pub(super) fn create(request: &Request<'_>) -> Read {
    request.query()?;
    let body = request.body()?;
    let body = Json::parse(&body)?;
    let image = body.text("Image")?;
    if image.is_empty() {
        // dockerd takes it for an empty root, which anything may then be put into.
        return Err(Unreadable::Missing("Image"));
    }
    let mut questions = vec![Question::Image(image.to_owned())];
    if is_builder(&body)? {
        questions.push(Question::Local(LocalImage::Builder));
    }
    // Before 28.0 what belongs into `HostConfig` counts beside it as well, if there is none.
    mounts(&body, &mut questions)?;
    if let Some(host) = body.field("HostConfig")? {
        mounts(host, &mut questions)?;
    }
    Ok(Reading::Ask(questions))
}

/// `POST /containers/{name}/start`: the policy may have changed since it was created.
///
/// dockerd refuses a body of more than seven bytes here, which is too little for a form that counts; but it waits for those seven,
/// and looks for the container only then.
pub(super) fn start(request: &Request<'_>) -> Read {
    let mut questions = vec![container(&request.name)?];
    let parameters = request.form(&mut questions)?;
    if !parameters.one("checkpoint-dir")?.is_empty() {
        // Processes as somebody has written them down somewhere on the host; dockerd itself refuses that since 17.12.
        questions.push(Question::Local(LocalImage::Unknown));
    }
    Ok(Reading::Ask(questions))
}

/// `POST /containers/{name}/exec`: what is in a container is its user's, but a builder is more than that.
///
/// A hint and no gate, so a body that is not seen or cannot be read is no reason to refuse.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every rule of a route has this form"
)]
pub(super) fn exec(request: &Request<'_>) -> Read {
    let body = request.body().unwrap_or_default();
    let speaks_to_builder = Json::parse(&body).is_ok_and(|body| runs_buildctl(&body));
    Ok(if speaks_to_builder {
        Reading::Ask(vec![Question::Local(LocalImage::Builder)])
    } else {
        Reading::Pass
    })
}

/// `POST /containers/{name}/restart` and `…/rename`: no parameter bears an image, but dockerd waits for a form before it looks for
/// the container, which may be another by then.
pub(super) fn restart(request: &Request<'_>) -> Read {
    let mut questions = vec![container(&request.name)?];
    request.form(&mut questions)?;
    Ok(Reading::Ask(questions))
}

/// `POST /commit`: a new image from a container, whose own image must be allowed.
pub(super) fn commit(request: &Request<'_>) -> Read {
    let parameters = request.query()?;
    let name = parameters.one("container")?;
    if name.is_empty() {
        return Err(Unreadable::Missing("container"));
    }
    // The body is a configuration, or `null`, and bears no image; but a form in its place would name another container. The
    // handler insists on JSON where there is a type, so a body that is not seen here is none if there is no length either.
    if request.message.header("Content-Length") != Some("0") {
        let (Json::Object(_) | Json::Null) = Json::parse(&request.body()?)? else {
            return Err(Unreadable::WrongType("body"));
        };
    }
    Ok(Reading::Ask(vec![
        Question::Local(LocalImage::Commit),
        container(name)?,
    ]))
}

/// The images that are mounted, and the containers whose mounts are taken over, in a `HostConfig`.
fn mounts(host: &Json<'_>, questions: &mut Vec<Question>) -> Result<(), Unreadable> {
    for mount in host.array("Mounts")? {
        image_mount(mount, questions)?;
    }
    for volumes in host.array("VolumesFrom")? {
        let Json::Text(volumes) = volumes else {
            return Err(Unreadable::WrongType("VolumesFrom"));
        };
        // `name:ro`. No name has a colon.
        let name = volumes.split(':').next().unwrap_or_default();
        if name.is_empty() {
            return Err(Unreadable::Missing("VolumesFrom"));
        }
        questions.push(container(name)?);
    }
    Ok(())
}

/// The question about a container by this name.
///
/// By a link, `web/db` names whatever the container `web` calls `db`: who makes `web` anew moves that name to any container.
fn container(name: &str) -> Result<Question, Unreadable> {
    if name.strip_prefix('/').unwrap_or(name).contains('/') {
        return Err(Unreadable::ContainerLink);
    }
    Ok(Question::Container(name.to_owned()))
}

/// The image of a mount, if it is one of an image. The engine knows the word in its one spelling, swarm in any.
pub(super) fn image_mount(
    mount: &Json<'_>,
    questions: &mut Vec<Question>,
) -> Result<(), Unreadable> {
    if mount.text("Type")?.to_uppercase() == "IMAGE" {
        let source = mount.text("Source")?;
        if source.is_empty() {
            return Err(Unreadable::Missing("Source"));
        }
        questions.push(Question::Image(source.to_owned()));
    }
    Ok(())
}
