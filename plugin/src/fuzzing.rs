//! What must hold for every input, and slow models of Go and dockerd to hold it against.
//!
//! Each property takes bytes and panics where it does not hold. `fuzz/` feeds them what a fuzzer finds, the tests here what
//! proptest makes up. The models are written from Go's documentation and source, not from the modules that they check.

mod daemon;
mod json_model;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::engine_api::Request;
use crate::go_form::Form;
use crate::go_json::Json;
use crate::go_path::Target;
use crate::message::AuthZReq;
use crate::question::{Question, Read, Reading};
use daemon::{Deed, Wire};

/// A body of `containers/create` that is accepted names what Go would find in it.
pub fn go_json(body: &[u8]) {
    if Json::parse(body).is_ok() {
        assert!(
            json_model::parse(body).is_some(),
            "Go refuses what is accepted"
        );
    }
    let told = Told {
        method: "POST",
        target: "/containers/create",
        headers: &[("Content-Type", "application/json")],
        body: Some(body),
    };
    let (Ok(Reading::Ask(questions)), Some(create)) = (told.read(), json_model::create(body))
    else {
        return;
    };
    let asks = |question: Question| {
        assert!(
            questions.contains(&question),
            "{question:?} is not asked: {create:?}"
        );
    };
    assert!(!create.image.is_empty(), "an empty image is accepted");
    asks(Question::Image(create.image.clone()));
    for host in [&create.host, &create.beside] {
        for mount in host.mounts.iter().filter(|mount| mount.kind == "image") {
            asks(Question::Image(mount.source.clone()));
        }
        for volumes in &host.volumes_from {
            let name = volumes.split(':').next().unwrap_or_default();
            asks(Question::Container(name.to_owned()));
        }
    }
}

/// A target that is accepted has the path, version and query that dockerd's router finds.
pub fn go_path(target: &[u8]) {
    let Ok(target) = std::str::from_utf8(target) else {
        return;
    };
    let Ok(read) = Target::parse(target) else {
        return;
    };
    let found = daemon::route(target);
    let read = (
        read.version().map(str::to_owned),
        read.path().to_owned(),
        read.query,
    );
    assert_eq!(Some(read), found);
}

/// A query that is accepted has the values that every one of Go's ways to read it finds.
pub fn go_form(query: &[u8]) {
    let Ok(query) = std::str::from_utf8(query) else {
        return;
    };
    let Ok(form) = Form::parse(query) else {
        return;
    };
    let (pairs, is_whole) = daemon::parse_query(query.as_bytes());
    assert!(is_whole, "Go finds a mistake");
    for key in PARAMETERS {
        let values: Vec<&[u8]> = daemon::values(&pairs, key).collect();
        let read: Vec<&[u8]> = form.all(key).map(str::as_bytes).collect();
        assert_eq!(read, values, "{key}");
        if let Ok(one) = form.one(key) {
            assert_eq!(
                one.as_bytes(),
                values.first().copied().unwrap_or_default(),
                "{key}"
            );
        }
    }
}

/// Whatever the daemon might say is read or refused.
pub fn message(message: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<AuthZReq<'_>>(message) {
        let _ = Request::parse(&message).and_then(|request| request.read());
    }
}

/// A request, as text, that is accepted makes dockerd do nothing that was not asked about.
pub fn request(text: &[u8]) {
    let Some(wire) = Wire::parse(text) else {
        return;
    };
    // An engine may hand a body over or hide it.
    for hides_bodies in [false, true] {
        let Some(received) = wire.receive() else {
            return;
        };
        let headers: Vec<(&str, &str)> = received.told_headers().collect();
        let told = Told {
            method: wire.method,
            target: wire.target,
            headers: &headers,
            body: received.told_body().filter(|_| !hides_bodies),
        };
        let (Ok(reading), Some(deed)) = (told.read(), received.deed()) else {
            continue;
        };
        let questions = match reading {
            Reading::Pass => Vec::new(),
            Reading::Ask(questions) => questions,
        };
        if questions.contains(&Question::Http1) && wire.is_http2 {
            continue;
        }
        assert!(
            deed.was_asked(&questions),
            "{deed:?} was not asked: {questions:?}"
        );
    }
}

/// What the daemon tells of a request.
struct Told<'a> {
    method: &'a str,
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Option<&'a [u8]>,
}

// === impl Told ===

impl Told<'_> {
    fn read(&self) -> Read {
        let headers: serde_json::Map<_, _> = self
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let body = self.body.map(|body| STANDARD.encode(body));
        let message = json!({
            "RequestMethod": self.method,
            "RequestUri": self.target,
            "RequestHeaders": headers,
            "RequestBody": body,
        });
        let message = message.to_string();
        serde_json::from_str::<AuthZReq<'_>>(&message)
            .map_err(|_| crate::unreadable::Unreadable::Message)
            .and_then(|message| Request::parse(&message)?.read())
    }
}

/// Some that count, and one that does not.
const PARAMETERS: [&str; 5] = ["fromImage", "tag", "remote", "container", "x"];

// === impl Deed ===

impl Deed {
    fn was_asked(&self, questions: &[Question]) -> bool {
        use ramgate_policy::{Action, LocalImage};

        let pull = |text: &str| match text.parse() {
            Ok(repository) => questions.contains(&Question::Repository(repository, Action::Pull)),
            // The engine refuses it as well.
            Err(_) => true,
        };
        match self {
            // What is sent as a tar and is a form: see `docs/threats.md`, R12.
            Self::Pull { image, has_form } => {
                pull(image)
                    || (*has_form && questions.contains(&Question::Local(LocalImage::Import)))
            }
            Self::Import => questions.contains(&Question::Local(LocalImage::Import)),
            Self::Install { remote, name } => {
                let last = name.rsplit('/').next().unwrap_or_default();
                let takes_our_place = last.split([':', '@']).next() == Some("ramgate");
                pull(remote) && (!takes_our_place || questions.contains(&Question::OwnPlugin))
            }
            Self::Commit(container) => questions.contains(&Question::Container(container.clone())),
        }
    }
}
