//! What happened in the engine, as far as it bears on where images come from and what runs.

use std::collections::HashMap;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use ramgate_policy::Repository;
use serde::Deserialize;

use super::EngineError;

/// `GET /events`, one after the other.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    /// What has arrived and is no whole line yet.
    rest: Vec<u8>,
    /// How much of that was looked through for an end.
    looked: usize,
}

/// An event.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Event {
    r#type: String,
    action: String,
    actor: Actor,
    /// When, in nanoseconds since 1970.
    #[serde(rename = "timeNano")]
    pub(crate) time: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default, rename = "Attributes")]
    attributes: HashMap<String, String>,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening<'a> {
    /// This reference was pulled.
    Pull(&'a str),
    /// This image was loaded, by its ID.
    Load(&'a str),
    /// This image was imported, by its ID.
    Import(&'a str),
    /// This image, by its ID, was committed.
    Commit(&'a str),
    /// This image, by its ID, was given a name, or made: on some engines the only event of a build, on all one of several of a
    /// commit and an import.
    Appear(&'a str),
    /// This image, by its ID, is gone.
    Delete(&'a str),
    /// A name of an image is gone.
    Untag,
    /// This container was started, by its ID.
    Start(&'a str),
    /// This container, by its ID, is gone.
    Destroy(&'a str),
    /// Nothing that matters here.
    Other,
}

// === impl Events ===

impl Events {
    pub(super) const fn new(body: Incoming) -> Self {
        Self {
            body,
            rest: Vec::new(),
            looked: 0,
        }
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks off, or an event cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, EngineError> {
        loop {
            let mut unseen = self.rest.iter().skip(self.looked);
            if let Some(end) = unseen.position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=self.looked + end).collect();
                self.looked = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|_| EngineError::Unreadable);
            }
            self.looked = self.rest.len();
            if self.rest.len() > LINE_SIZE_MAX_BYTES {
                return Err(EngineError::Unreadable);
            }
            match self.body.frame().await {
                None if self.rest.trim_ascii().is_empty() => return Ok(None),
                None => return Err(EngineError::Unreadable),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(EngineError::Unreachable(error.to_string())),
            }
        }
    }

    /// All events up to the end.
    ///
    /// # Errors
    /// As [`Self::next`], and when there is no end in time.
    pub(crate) async fn collect(mut self) -> Result<Vec<Event>, EngineError> {
        let all = async {
            let mut events = Vec::new();
            while let Some(event) = self.next().await? {
                events.push(event);
            }
            Ok(events)
        };
        tokio::time::timeout(COLLECT_DEADLINE, all)
            .await
            .map_err(|_| EngineError::Timeout)?
    }
}

// === impl Event ===

impl Event {
    /// What it says.
    pub(crate) fn happening(&self) -> Happening<'_> {
        let id = self.actor.id.as_str();
        match (self.r#type.as_str(), self.action.as_str()) {
            ("image", "pull") => Happening::Pull(id),
            ("image", "load") => Happening::Load(id),
            ("image", "import") => Happening::Import(id),
            ("image", "tag" | "create") => Happening::Appear(id),
            ("image", "delete") => Happening::Delete(id),
            ("image", "untag") => Happening::Untag,
            ("container", "commit") => match self.actor.attributes.get("imageID") {
                Some(image) => Happening::Commit(image),
                None => Happening::Other,
            },
            ("container", "start") => Happening::Start(id),
            ("container", "destroy") => Happening::Destroy(id),
            _ => Happening::Other,
        }
    }
}

impl Event {
    /// Whether `name` may stand for another image since.
    pub(crate) fn moves(&self, name: &str) -> bool {
        if self.r#type != "image" {
            return false;
        }
        let given = match self.action.as_str() {
            "push" | "save" => return false,
            "pull" => Some(&self.actor.id),
            "tag" | "untag" => self.actor.attributes.get("name"),
            // What is loaded, imported or deleted says no name, or not each.
            _ => None,
        };
        // An ID would be read as a repository by that name.
        let repository = |name: &str| match name.starts_with("sha256:") {
            true => None,
            false => name.parse::<Repository>().ok(),
        };
        match (given.and_then(|given| repository(given)), repository(name)) {
            (Some(given), Some(name)) => given == name,
            _ => true,
        }
    }
}

/// Labels are in an event, and may be long: those of an image, and those of its container. A line that is longer ends the watch, so
/// it is as much as the engine takes in.
const LINE_SIZE_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Past events come at once.
const COLLECT_DEADLINE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &Happening<'_>) {
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!(&event.happening(), expected, "{line}");
    }

    #[test]
    fn a_name_moves_by_what_gives_or_takes_it() {
        let moves = |text: &str| {
            let event: Event = serde_json::from_str(text).unwrap();
            event.moves("acme/app:1")
        };
        let image = |action: &str, id: &str, name: &str| {
            format!(
                r#"{{"Type":"image","Action":"{action}","Actor":{{"ID":"{id}","Attributes":{{"name":"{name}"}}}},"timeNano":2}}"#
            )
        };
        assert!(moves(&image("tag", "sha256:3c", "acme/app:2")));
        assert!(moves(&image("untag", "sha256:3c", "docker.io/acme/app:1")));
        assert!(moves(&image("pull", "acme/app:1", "acme/app")));
        assert!(moves(&image("load", "sha256:3c", "other:1")));
        assert!(moves(&image("untag", "sha256:3c", "sha256:3C")));
        assert!(!moves(&image("tag", "sha256:3c", "acme/other:1")));
        assert!(!moves(&image("pull", "alpine:3", "acme/app")));
        assert!(!moves(&image("push", "acme/app:1", "acme/app")));
        assert!(!moves(
            r#"{"Type":"container","Action":"create","Actor":{"ID":"c"},"timeNano":2}"#
        ));
    }

    /// As Docker 20.10 and 28.5 print them.
    #[test]
    fn events_say_what_happened() {
        check(
            r#"{"status":"pull","id":"alpine:3","Type":"image","Action":"pull","Actor":{"ID":"alpine:3","Attributes":{"name":"alpine"}},"scope":"local","time":1,"timeNano":1000000001}"#,
            &Happening::Pull("alpine:3"),
        );
        check(
            r#"{"Type":"container","Action":"commit","Actor":{"ID":"c1","Attributes":{"comment":"","image":"alpine:3","imageID":"sha256:3c","imageRef":"acme/x:latest"}},"timeNano":2}"#,
            &Happening::Commit("sha256:3c"),
        );
        check(
            r#"{"Type":"container","Action":"exec_start: sh","Actor":{"ID":"c1","Attributes":{}},"timeNano":2}"#,
            &Happening::Other,
        );
        check(
            r#"{"Type":"image","Action":"untag","Actor":{"ID":"sha256:3c"},"timeNano":2}"#,
            &Happening::Untag,
        );
    }
}
