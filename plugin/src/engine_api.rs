//! The Engine API: every route, and by which rule it is decided.
//!
//! Source of the routes: moby `daemon/server/router/*`, from API 1.24 to 1.56. The table is complete, and what is not in it is
//! denied unless it only reads: a route that a newer engine adds is a way round until somebody has looked at it.

mod build;
mod containers;
mod images;
mod plugins;
mod routes;
mod services;

use crate::go_form::Form;
use crate::go_json::Json;
use crate::go_path::Target;
use crate::message::AuthZReq;
use crate::question::{Read, Reading};
use crate::unreadable::Unreadable;

pub(crate) use routes::Route;

/// By which rule a route is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It only reads.
    Read,
    /// It changes something, and bears no image.
    NoImage,
    /// Pull or import.
    CreateImage,
    /// Load.
    LoadImage,
    /// Tag.
    TagImage,
    /// Push.
    PushImage,
    /// Search.
    SearchImages,
    /// What a registry says of an image.
    InspectDistribution,
    /// Build.
    Build,
    /// BuildKit: a build whose content is not seen.
    BuildSession,
    /// Create a container.
    CreateContainer,
    /// Start a container that was created before.
    StartContainer,
    /// Commit.
    CommitContainer,
    /// Create a service.
    CreateService,
    /// Update or roll back a service.
    UpdateService,
    /// Become part of a swarm, whose tasks come without requests.
    JoinSwarm,
    /// Pull, upgrade or look at a managed plugin.
    PullPlugin,
    /// Push a managed plugin.
    PushPlugin,
    /// Make a managed plugin from files.
    CreatePlugin,
    /// Switch off or change a managed plugin, which may be this one.
    ChangePlugin,
}

/// A request to the engine, taken apart.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) version: Option<String>,
    pub(crate) route: &'static Route,
    /// What stands in the place of the template's first `{…}`.
    pub(crate) name: String,
    query: &'a str,
    message: &'a AuthZReq<'a>,
}

// === impl Request ===

impl<'a> Request<'a> {
    /// Takes a request apart and finds its route.
    pub(crate) fn parse(message: &'a AuthZReq<'a>) -> Result<Self, Unreadable> {
        let method = message.request_method.as_ref();
        let Target {
            version,
            path,
            query,
        } = Target::parse(&message.request_uri)?;
        let Some((route, name)) = routes::find(method, &path) else {
            return Err(Unreadable::UnknownRoute(format!(
                "{method} {}",
                printable(&path)
            )));
        };
        Ok(Self {
            method,
            version,
            route,
            name,
            query,
            message,
        })
    }

    /// Whether something was built once it is carried out.
    pub(crate) const fn builds(&self) -> bool {
        matches!(self.route.rule, Rule::Build | Rule::BuildSession)
    }

    /// Whether images may have come once it is carried out.
    pub(crate) const fn brings_images(&self) -> bool {
        matches!(
            self.route.rule,
            Rule::CreateImage
                | Rule::LoadImage
                | Rule::Build
                | Rule::BuildSession
                | Rule::CommitContainer
                | Rule::TagImage
        )
    }

    /// What the request comes down to. Pure: what only the engine knows is asked later.
    pub(crate) fn read(&self) -> Read {
        match self.route.rule {
            Rule::Read | Rule::NoImage => Ok(Reading::Pass),
            Rule::CreateImage => images::create(self),
            Rule::LoadImage => images::load(),
            Rule::TagImage => images::tag(self),
            Rule::PushImage => images::push(self),
            Rule::SearchImages => images::search(self),
            Rule::InspectDistribution => images::inspect_distribution(self),
            Rule::Build => build::build(self),
            Rule::BuildSession => build::session(),
            Rule::CreateContainer => containers::create(self),
            Rule::StartContainer => containers::start(self),
            Rule::CommitContainer => containers::commit(self),
            Rule::CreateService => services::create(self),
            Rule::UpdateService => services::update(self),
            Rule::JoinSwarm => services::join_swarm(),
            Rule::PullPlugin => plugins::pull(self),
            Rule::PushPlugin => images::push(self),
            Rule::CreatePlugin => images::load(),
            Rule::ChangePlugin => plugins::change(self),
        }
    }

    /// The query of a route that reads a form from its body as well. A body that could be a form is refused, since it would
    /// override what the query says.
    ///
    /// The daemon goes by the first `Content-Type` and the plugin sees the last. There are three states in which there is no
    /// form whatever the first one said: no body at all, no type at all, and a body that the daemon handed over, which it does
    /// only with one whose first type is JSON. See moby `httputils.ParseForm` and `authorization.sendBody`.
    fn form(&self) -> Result<Form, Unreadable> {
        let no_body = self.message.header("Content-Length") == Some("0");
        let no_type = self.message.header("Content-Type").is_none();
        let is_json = || matches!(self.message.body(), Ok(Some(_)));
        if no_body || no_type || is_json() {
            Form::parse(self.query)
        } else {
            Err(Unreadable::FormBody)
        }
    }

    /// The query of a route whose body is a tar archive. That the body is no form, only its type says.
    fn form_beside_tar(&self) -> Result<Form, Unreadable> {
        let kind = self.message.header("Content-Type").unwrap_or_default();
        if TAR_TYPES.contains(&kind) {
            Form::parse(self.query)
        } else {
            self.form()
        }
    }

    /// The query of a route whose body is JSON, which the daemon insists on.
    fn form_beside_json(&self) -> Result<Form, Unreadable> {
        Form::parse(self.query)
    }

    /// The JSON body of a route that has one. None is not an empty one: it was hidden.
    fn json(&self) -> Result<Json, Unreadable> {
        let body = self.message.body().map_err(|_| Unreadable::Message)?;
        Json::parse(&body.ok_or(Unreadable::MissingBody)?)
    }
}

fn printable(path: &str) -> String {
    path.chars()
        .filter(|letter| !letter.is_control())
        .take(PATH_SHOWN_MAX)
        .collect()
}

/// What clients send with a tar archive: docker since 1.6, its import (`text/plain` is what it sends for a body of no
/// stated kind), and docker-py.
const TAR_TYPES: [&str; 4] = [
    "application/x-tar",
    "application/tar",
    "application/octet-stream",
    "text/plain",
];

/// Enough to tell the route, in a message.
const PATH_SHOWN_MAX: usize = 80;
