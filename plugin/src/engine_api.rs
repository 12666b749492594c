//! The Engine API: every route, and by which rule it is decided.
//!
//! Source of the routes: moby `daemon/server/router/*`, from API 1.24 to 1.56. The table is complete (`tests/routes/known.txt`,
//! printed as `docs/routes.md`), and what is not in it is denied unless it only reads: a route that a newer engine adds is a way
//! round until somebody has looked at it.

mod build;
mod builder;
mod containers;
mod document;
mod images;
mod plugins;
mod routes;
mod rule;
mod services;
#[cfg(test)]
mod tests;

use crate::go_form::Form;
use crate::go_path::Target;
use crate::message::AuthZReq;
use crate::question::{Question, Read, Reading};
use crate::unreadable::Unreadable;

pub use document::routes_document;
pub(crate) use routes::Route;
pub(crate) use rule::Rule;

/// A request to the engine, taken apart.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) route: &'static Route,
    /// What stands in the place of the template's first `{…}`.
    pub(crate) name: String,
    target: Target<'a>,
    message: &'a AuthZReq<'a>,
}

/// Whether the daemon may find a form in the body of a request.
enum FormInBody {
    /// Certainly not.
    No,
    /// Not if the request came over HTTP/1.
    NotOverHttp1,
    /// It may.
    Possible,
}

// === impl Request ===

impl<'a> Request<'a> {
    /// Takes a request apart and finds its route.
    pub(crate) fn parse(message: &'a AuthZReq<'a>) -> Result<Self, Unreadable> {
        let method = message.request_method.as_ref();
        let target = Target::parse(&message.request_uri)?;
        let Some((route, name)) = routes::find(method, target.path()) else {
            return Err(Unreadable::UnknownRoute(format!(
                "{method} {}",
                printable(target.path())
            )));
        };
        Ok(Self {
            method,
            route,
            name: name.to_owned(),
            target,
            message,
        })
    }

    /// The version of the API that it speaks, if it says one.
    pub(crate) fn version(&self) -> Option<&str> {
        self.target.version()
    }

    /// Whether something was built once it is carried out.
    pub(crate) const fn builds(&self) -> bool {
        matches!(self.route.rule, Rule::Build | Rule::BuildSession)
    }

    /// Whether the engine says in time that it has ended: of a connection that it hands over, only once that is closed.
    pub(crate) const fn end_is_told(&self) -> bool {
        !matches!(self.route.rule, Rule::BuildSession)
    }

    /// Whether there is a new container once it is carried out, which may have images mounted.
    pub(crate) const fn creates_container(&self) -> bool {
        matches!(self.route.rule, Rule::CreateContainer)
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
            Rule::ExecInContainer => containers::exec(self),
            Rule::RestartContainer | Rule::RenameContainer => containers::restart(self),
            Rule::CommitContainer => containers::commit(self),
            Rule::CreateService => services::create(self),
            Rule::UpdateService => services::update(self),
            Rule::JoinSwarm => services::join_swarm(),
            Rule::InspectPlugin => plugins::inspect(self),
            Rule::PullPlugin => plugins::pull(self),
            Rule::UpgradePlugin => plugins::upgrade(self),
            Rule::PushPlugin => plugins::push(self),
            Rule::CreatePlugin => plugins::create(self),
            Rule::EnablePlugin => plugins::enable(self),
            Rule::ChangePlugin => plugins::change(self),
        }
    }

    /// The parameters of a route that takes a form from its body as well as from its query.
    ///
    /// Go puts the values of the body in front of those of the query. So the body must be none, which may depend on a question
    /// to the engine.
    fn form(&self, questions: &mut Vec<Question>) -> Result<Form, Unreadable> {
        match self.form_in_body() {
            FormInBody::No => {}
            FormInBody::NotOverHttp1 => questions.push(Question::Http1),
            FormInBody::Possible => return Err(Unreadable::FormBody),
        }
        self.query()
    }

    /// Whether the daemon may find a form in the body.
    ///
    /// The daemon goes by the first `Content-Type` and the plugin sees the last. There are four states in which there is no form
    /// whatever the first one said. See Go's `Request.ParseForm` and moby `authorization.sendBody`.
    fn form_in_body(&self) -> FormInBody {
        let reads_body = matches!(self.method, "POST" | "PUT" | "PATCH");
        let has_type = self.message.header("Content-Type").is_some();
        // The daemon hands over only a body whose first type is JSON.
        let is_json = || matches!(self.message.body(), Ok(Some(_)));
        if !reads_body || !has_type || is_json() {
            FormInBody::No
        } else if self.message.header("Content-Length") == Some("0") {
            // Go's HTTP/1 refuses two lengths that differ, its HTTP/2 goes by the first of them.
            FormInBody::NotOverHttp1
        } else {
            FormInBody::Possible
        }
    }

    /// The parameters of a route whose body is a tar archive. That the body is no form, only the last of its types says, which
    /// may not be the one that counts: each route says why that is enough for it.
    fn form_beside_tar(&self) -> Result<Form, Unreadable> {
        let kind = self.message.header("Content-Type").unwrap_or_default();
        match self.form_in_body() {
            FormInBody::Possible if !TAR_TYPES.contains(&kind) => Err(Unreadable::FormBody),
            FormInBody::No | FormInBody::NotOverHttp1 | FormInBody::Possible => self.query(),
        }
    }

    /// The query alone: of a route whose handler insists on a JSON body, or takes none, or reads the query itself.
    fn query(&self) -> Result<Form, Unreadable> {
        Form::parse(self.target.query)
    }

    /// The body of a route that has one in JSON. None is not an empty one: it was hidden.
    fn body(&self) -> Result<Vec<u8>, Unreadable> {
        let body = self.message.body().map_err(|_| Unreadable::Message)?;
        body.ok_or(Unreadable::MissingBody)
    }
}

fn printable(path: &str) -> String {
    path.chars()
        .filter(|letter| !letter.is_control())
        .take(PATH_SHOWN_MAX)
        .collect()
}

/// What clients send with a tar archive: docker since 1.6, its import (`text/plain` is what it sends for a body of no
/// stated kind), docker-py, and what other clients send for compressed ones.
const TAR_TYPES: [&str; 6] = [
    "application/x-tar",
    "application/tar",
    "application/gzip",
    "application/x-gzip",
    "application/octet-stream",
    "text/plain",
];

/// Enough to tell the route, in a message.
const PATH_SHOWN_MAX: usize = 80;
