//! What dockerd says to an authorization plugin, and what it hears.
//!
//! Source: moby `pkg/authorization/api.go` and `pkg/plugins/client.go`. The public documentation names two fields wrongly:
//! on the wire they are `RequestUri` and `RequestHeaders`.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ramgate_policy::Subject;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// A request to the engine, as dockerd describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AuthZReq<'a> {
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    user_auth_n_method: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) request_method: Cow<'a, str>,
    /// The request target exactly as it stood on the request line.
    #[serde(borrow)]
    pub(crate) request_uri: Cow<'a, str>,
    /// Base64. Absent is not empty: it means that dockerd did not send it.
    #[serde(borrow)]
    request_body: Option<Text<'a>>,
    /// One value for each name: the *last*. dockerd itself goes by the first.
    #[serde(borrow)]
    request_headers: Headers<'a>,
    /// Base64, and only once the request was carried out.
    #[serde(borrow)]
    response_body: Option<Text<'a>>,
}

/// A text that is borrowed where it has no escape: within an option, serde's own `Cow` never is.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Names and values. They are few: looking through them is quicker than hashing them.
#[derive(Debug, Default)]
struct Headers<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

struct HeadersVisitor;

/// The engine's answer to the creation of a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

/// The plugin's answer. dockerd reads `Allow` and shows `Msg`; an `Err` it would ignore.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuthZRes {
    pub(crate) allow: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) msg: String,
}

/// The answer to `/Plugin.Activate`. The word is lower-case.
pub(crate) const ACTIVATED: &str = r#"{"Implements":["authz"]}"#;

/// What plugins speak; source: moby `pkg/plugins/transport`.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

// === impl AuthZReq ===

impl AuthZReq<'_> {
    /// The body, if dockerd sent one; `Err` if it is no base64.
    pub(crate) fn body(&self) -> Result<Option<Vec<u8>>, base64::DecodeError> {
        self.request_body
            .as_ref()
            .filter(|body| !body.0.is_empty())
            .map(|body| STANDARD.decode(body.0.as_bytes()))
            .transpose()
    }

    /// The ID of the container that was created; `None` if none was, or if the engine did not hand over what it answered.
    pub(crate) fn created(&self) -> Option<String> {
        let body = STANDARD
            .decode(self.response_body.as_ref()?.0.as_bytes())
            .ok()?;
        let created: Created = serde_json::from_slice(&body).ok()?;
        Some(created.id)
    }

    /// The last header of that name, in Go's canonical spelling.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.request_headers.0.iter().rev();
        let found = headers.find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_ref())
    }

    /// On whose behalf: the common name of a client certificate, or nobody that is known.
    pub(crate) fn subject(&self) -> Subject {
        if self.user_auth_n_method == "TLS" && !self.user.is_empty() {
            Subject::User(self.user.clone().into_owned())
        } else {
            Subject::Anonymous
        }
    }
}

// === impl Headers ===

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers<'de>, A::Error> {
        // Four, with what docker sends.
        let mut headers = Vec::with_capacity(4);
        while let Some((Text(name), Text(value))) = map.next_entry()? {
            headers.push((name, value));
        }
        Ok(Headers(headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_escape_is_borrowed() {
        let text = r#"{"RequestMethod":"POST","RequestUri":"/a?b\u0026c","RequestBody":"e30=",
            "RequestHeaders":{"Content-Type":"a","X\u0041":"b","Content-Type":"c"},"ResponseBody":"eyJJZCI6ImMifQ=="}"#;
        let message: AuthZReq<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(message.request_uri, "/a?b&c");
        assert!(matches!(
            &message.request_body,
            Some(Text(Cow::Borrowed("e30=")))
        ));
        let names: Vec<bool> = message
            .request_headers
            .0
            .iter()
            .map(|(name, _)| matches!(name, Cow::Borrowed(_)))
            .collect();
        assert_eq!(names, [true, false, true]);
        assert_eq!(message.header("Content-Type"), Some("c"));
        assert_eq!(message.header("XA"), Some("b"));
        assert_eq!(message.body(), Ok(Some(b"{}".to_vec())));
        assert_eq!(message.created().as_deref(), Some("c"));
    }
}
